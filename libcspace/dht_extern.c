/*
 * dht_extern.c - our own address as others see it (the `ip` field of answers),
 * by vote, and the node id that belongs to it (BEP 42 "Bootstrapping").
 *
 * A subnet has one vote, and only routable addresses vote for routable ones:
 * on loopback and in private networks ids stay random.
 */
#include <string.h>

#include "dht_id.h"
#include "dht_int.h"

static void cast(struct dht *d, unsigned family, const struct addr *from, const struct addr *says) {
  struct dht_vote *votes = d->votes[family];
  unsigned n = d->n_votes[family], at = n;
  for (unsigned i = 0; i < n; i++)
    if (addr_same_subnet(&votes[i].source, from))
      at = i;
  if (at == DHT_VOTES) { /* full: the oldest goes */
    memmove(&votes[0], &votes[1], (DHT_VOTES - 1) * sizeof votes[0]);
    at = DHT_VOTES - 1;
  } else if (at == n) {
    d->n_votes[family]++;
  }
  votes[at] = (struct dht_vote){.source = *from, .says = *says};
}

bool dht_vote(struct dht *d, const struct addr *from, const struct krpc *m) {
  struct addr says;
  unsigned family = family_of(from), agree = 0;
  if (!m->ip.p || !addr_is_global(from) || addr_from_compact(&says, m->ip.p, m->ip.len) != 0)
    return false;
  if (!addr_is_global(&says) || family_of(&says) != family)
    return false;
  cast(d, family, from, &says);
  for (unsigned i = 0; i < d->n_votes[family]; i++)
    agree += addr_same_ip(&d->votes[family][i].says, &says);
  if (agree < DHT_VOTES_NEEDED || addr_same_ip(&d->external[family], &says))
    return false;
  d->external[family] = says;
  d->n_votes[family] = 0;
  if (dht_id_belongs(d->table[family].own, &says))
    return false;
  uint8_t id[DHT_ID_LEN];
  dht_id_for(id, &says, &d->rng);
  dht_table_rekey(&d->table[family], id);
  d->self_at[family] = 0; /* find our new neighbours at the next maintenance */
  d->self_step[family] = 0;
  return true;
}
