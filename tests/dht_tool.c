/*
 * dht_tool.c - the DHT core behind real sockets, for tests.
 *
 *   dht_tool nodes N [BOOT...]            N nodes on 127.0.0.1; prints their addresses on one line, runs until its
 *                                         standard input ends; lines there are the commands below without BOOT,
 *                                         run by the last node, each answered by one line ("-" when it failed)
 *   dht_tool put SEED SEQ TEXT SALT BOOT  puts a mutable item (SEED: 64 hex digits); prints KEY STORED
 *   dht_tool get KEY SALT BOOT            prints SEQ TEXT of the newest value, or fails
 *   dht_tool iput TEXT BOOT               puts an immutable item; prints TARGET STORED
 *   dht_tool iget TARGET BOOT             prints TEXT, or fails
 *
 * BOOT is address:port. Texts are the items' byte strings. SALT is "-" for none. The single commands run as read-only
 * nodes. Everything ends after DEADLINE at the latest.
 */
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bencode.h"
#include "dht.h"
#include "dht_store.h"
#include "identity.h"
#include "udp.h"

#define NODES_MAX 256
#define DEADLINE (120 * UINT64_C(1000000)) /* us */

struct node {
  struct dht *d;
  struct udp *u;
};

static struct node nodes[NODES_MAX];
static unsigned n_nodes;
static char line[2048]; /* of standard input, as far as it has come */
static size_t line_len;

static void die(const char *what) {
  fprintf(stderr, "dht_tool: %s\n", what);
  exit(1);
}

static uint64_t now_us(void) {
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static struct addr parse(const char *text) {
  struct addr a;
  if (addr_parse(&a, text) != 0)
    die("not an address");
  return a;
}

static struct node *add_node(bool read_only) {
  struct dht_config config = {.read_only = read_only, .ipv4 = true};
  struct addr any = addr_v4(127, 0, 0, 1, 0);
  struct node *n = &nodes[n_nodes++];
  uint8_t seed[32];
  randombytes_buf(seed, sizeof seed);
  n->d = dht_new(&config, seed, now_us());
  n->u = udp_open(&any);
  if (!n->d || !n->u)
    die("no node");
  return n;
}

static void flush(struct node *n) {
  struct addr to;
  uint8_t buf[DHT_DATAGRAM_MAX];
  size_t len, sent;
  while (dht_output(n->d, &to, buf, &len))
    udp_send(n->u, &to, buf, len, len, &sent);
}

static void receive(struct node *n) {
  struct udp_in in[8];
  int got;
  while ((got = udp_recv(n->u, in, 8)) > 0) {
    for (int i = 0; i < got; i++)
      for (size_t at = 0; at < in[i].len; at += in[i].segment) {
        size_t len = in[i].len - at < in[i].segment ? in[i].len - at : in[i].segment;
        dht_input(n->d, now_us(), (uint64_t)time(NULL), &in[i].from, in[i].data + at, len);
      }
    flush(n);
  }
}

/* One turn: waits for a datagram, a deadline, or the end of standard input (then false). */
static bool turn(bool watch_input) {
  struct pollfd fds[NODES_MAX + 1];
  uint64_t at = UINT64_MAX, now = now_us();
  for (unsigned i = 0; i < n_nodes; i++) {
    flush(&nodes[i]);
    fds[i] = (struct pollfd){.fd = udp_fd(nodes[i].u), .events = POLLIN};
    at = dht_deadline(nodes[i].d) < at ? dht_deadline(nodes[i].d) : at;
  }
  fds[n_nodes] = (struct pollfd){.fd = watch_input ? STDIN_FILENO : -1, .events = POLLIN};
  uint64_t wait = at <= now ? 0 : (at - now) / 1000 + 1;
  poll(fds, n_nodes + 1, wait < 1000 ? (int)wait : 1000);
  while (fds[n_nodes].revents && (line_len == 0 || line[line_len - 1] != '\n')) {
    if (line_len + 1 >= sizeof line || read(STDIN_FILENO, line + line_len, 1) <= 0)
      return false;
    line_len++;
  }
  for (unsigned i = 0; i < n_nodes; i++) {
    if (fds[i].revents)
      receive(&nodes[i]);
    now = now_us();
    if (dht_deadline(nodes[i].d) <= now)
      dht_tick(nodes[i].d, now, (uint64_t)time(NULL));
    flush(&nodes[i]);
  }
  return true;
}

static int run_command(int argc, char **argv, bool has_boot);

/* The line that has come, as a command. */
static void run_line(void) {
  char *words[8];
  int n = 1;
  line[line_len - 1] = 0;
  for (char *w = strtok(line, " "); w && n < 8; w = strtok(NULL, " "))
    words[n++] = w;
  if (run_command(n, words, false) != 0)
    printf("-\n");
  fflush(stdout);
  line_len = 0;
}

static int run_nodes(int argc, char **argv) {
  unsigned n = (unsigned)atoi(argv[2]);
  char text[ADDR_TEXT_MAX];
  struct dht_event ev;
  uint64_t start = now_us();
  if (n < 1 || n > NODES_MAX)
    die("how many nodes?");
  for (unsigned i = 0; i < n; i++) {
    struct node *node = add_node(false);
    struct addr self = udp_local(node->u), first = udp_local(nodes[0].u);
    for (int j = 3; j < argc; j++) {
      struct addr boot = parse(argv[j]);
      dht_add_bootstrap(node->d, &boot);
    }
    if (i > 0 && argc == 3)
      dht_add_bootstrap(node->d, &first);
    printf("%s%c", addr_format(&self, text), i + 1 < n ? ' ' : '\n');
  }
  fflush(stdout);
  while (turn(true) && now_us() - start < DEADLINE) {
    for (unsigned i = 0; i < n; i++)
      while (dht_next_event(nodes[i].d, &ev))
        ;
    if (line_len > 0 && line[line_len - 1] == '\n')
      run_line();
  }
  return 0;
}

static struct dht *actor(void) {
  return nodes[n_nodes - 1].d;
}

/* Runs the operation to its end; the newest value goes to *value. */
static struct dht_event finish(dht_op op, struct dht_event *value) {
  struct dht_event ev;
  uint64_t start = now_us();
  if (op == 0)
    die("the operation could not be started");
  value->type = DHT_EV_NONE;
  while (now_us() - start < DEADLINE) {
    while (dht_next_event(actor(), &ev)) {
      if (ev.type == DHT_EV_VALUE)
        *value = ev;
      if (ev.type == DHT_EV_DONE)
        return ev;
    }
    turn(false);
  }
  die("out of time");
  exit(1);
}

static int print_value(const struct dht_event *value, bool with_seq) {
  struct ben v = {value->v, value->v_len};
  const uint8_t *s;
  size_t n;
  if (value->type != DHT_EV_VALUE || !ben_str(&v, &s, &n))
    return 1;
  if (with_seq)
    printf("%lld ", (long long)value->seq);
  printf("%.*s\n", (int)n, (const char *)s);
  return 0;
}

static size_t salt_length(const char *salt) {
  return strcmp(salt, "-") == 0 ? 0 : strlen(salt);
}

static void from_hex(uint8_t *out, size_t n, const char *hex) {
  size_t len;
  if (sodium_hex2bin(out, n, hex, strlen(hex), NULL, &len, NULL) != 0 || len != n)
    die("not hex of the right length");
}

static size_t encode(uint8_t v[DHT_VALUE_MAX], const char *text) {
  struct ben_out o;
  ben_out_init(&o, v, DHT_VALUE_MAX);
  ben_put_text(&o, text);
  if (o.bad)
    die("text too long");
  return o.len;
}

static int put(char **argv) {
  uint8_t seed[32], v[DHT_VALUE_MAX], msg[DHT_VALUE_MAX + 256], sig[64];
  const uint8_t *salt = (const uint8_t *)argv[5];
  size_t salt_len = salt_length(argv[5]), v_len = encode(v, argv[4]);
  int64_t seq = atoll(argv[3]);
  char hex[65];
  struct dht_event value, end;
  from_hex(seed, sizeof seed, argv[2]);
  struct identity *id = identity_new(seed);
  if (!id)
    die("no identity");
  identity_sign(id, sig, msg, dht_mutable_buffer(msg, sizeof msg, salt, salt_len, seq, v, v_len));
  end = finish(dht_put(actor(), now_us(), identity_key(id), salt, salt_len, seq, sig, v, v_len, false, 0), &value);
  printf("%s %u\n", sodium_bin2hex(hex, sizeof hex, identity_key(id), 32), end.stored);
  identity_free(id);
  return end.stored == 0;
}

static int iput(char **argv) {
  uint8_t v[DHT_VALUE_MAX], target[DHT_ID_LEN];
  size_t v_len = encode(v, argv[2]);
  char hex[41];
  struct dht_event value;
  struct dht_event end = finish(dht_put_immutable(actor(), now_us(), v, v_len), &value);
  if (dht_target_immutable(target, v, v_len) != 0)
    die("no SHA-1");
  printf("%s %u\n", sodium_bin2hex(hex, sizeof hex, target, sizeof target), end.stored);
  return end.stored == 0;
}

static int get(char **argv) {
  uint8_t key[32];
  struct dht_event value;
  from_hex(key, sizeof key, argv[2]);
  finish(dht_get(actor(), now_us(), key, (const uint8_t *)argv[3], salt_length(argv[3])), &value);
  return print_value(&value, true);
}

static int iget(char **argv) {
  uint8_t target[DHT_ID_LEN];
  struct dht_event value;
  from_hex(target, sizeof target, argv[2]);
  finish(dht_get_immutable(actor(), now_us(), target), &value);
  return print_value(&value, false);
}

static int run_command(int argc, char **argv, bool has_boot) {
  static const struct {
    const char *name;
    int argc;
    int (*run)(char **argv);
  } commands[] = {{"put", 6, put}, {"get", 4, get}, {"iput", 3, iput}, {"iget", 3, iget}};
  for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
    if (argc != commands[i].argc + has_boot || strcmp(argv[1], commands[i].name) != 0)
      continue;
    if (has_boot) {
      struct addr boot = parse(argv[argc - 1]);
      dht_add_bootstrap(add_node(true)->d, &boot);
    }
    return commands[i].run(argv);
  }
  return 2;
}

int main(int argc, char **argv) {
  int rc;
  if (identity_init() != 0)
    die("no libsodium");
  if (argc >= 3 && strcmp(argv[1], "nodes") == 0)
    rc = run_nodes(argc, argv);
  else
    rc = argc >= 2 ? run_command(argc, argv, true) : 2;
  for (unsigned i = 0; i < n_nodes; i++) {
    dht_free(nodes[i].d);
    udp_close(nodes[i].u);
  }
  if (rc == 2)
    fprintf(stderr, "usage: dht_tool nodes|put|get|iput|iget ...\n");
  return rc;
}
