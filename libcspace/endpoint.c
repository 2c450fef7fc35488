/*
 * endpoint.c - endpoint slots of a home.
 *
 * endpoints/N, 0600: machine(16) id(8) secret(32), 56 bytes. machine is a hash
 * of the machine id, so that the file does not give that away.
 */
#include "endpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "home.h"
#include "log.h"

#define MACHINE_LEN 16
#define SLOT_LEN (MACHINE_LEN + ENDPOINT_ID_LEN + ENDPOINT_SECRET_LEN)

static void machine_hash(uint8_t out[MACHINE_LEN]) {
  static const char label[] = "cspace machine v1";
  char text[128];
  ssize_t n = 0;
  int fd = open("/etc/machine-id", O_RDONLY | O_CLOEXEC);

  if (fd < 0) fd = open("/var/lib/dbus/machine-id", O_RDONLY | O_CLOEXEC);
  if (fd >= 0) {
    n = read(fd, text, sizeof text);
    close(fd);
  }
  if (n <= 0 && gethostname(text, sizeof text) == 0) n = (ssize_t)strnlen(text, sizeof text);
  crypto_generichash(out, MACHINE_LEN, (const uint8_t *)text, n > 0 ? (size_t)n : 0, (const uint8_t *)label,
                     sizeof label - 1);
}

void endpoint_random(struct endpoint_slot *slot) {
  slot->fd = -1;
  randombytes_buf(slot->id, sizeof slot->id);
  randombytes_buf(slot->secret, sizeof slot->secret);
}

/* Reads or fills a locked slot file. False: another machine's, or it cannot be used. */
static bool use_slot(struct endpoint_slot *slot, int fd, const uint8_t machine[MACHINE_LEN]) {
  uint8_t buf[SLOT_LEN];
  ssize_t n = pread(fd, buf, sizeof buf, 0);
  bool ok = true;

  if (n == SLOT_LEN) {
    ok = memcmp(buf, machine, MACHINE_LEN) == 0;
  } else {
    memcpy(buf, machine, MACHINE_LEN);
    randombytes_buf(buf + MACHINE_LEN, SLOT_LEN - MACHINE_LEN);
    ok = ftruncate(fd, 0) == 0 && pwrite(fd, buf, sizeof buf, 0) == SLOT_LEN && fsync(fd) == 0;
  }
  if (ok) {
    memcpy(slot->id, buf + MACHINE_LEN, ENDPOINT_ID_LEN);
    memcpy(slot->secret, buf + MACHINE_LEN + ENDPOINT_ID_LEN, ENDPOINT_SECRET_LEN);
    slot->fd = fd;
  }
  sodium_memzero(buf, sizeof buf);
  return ok;
}

void endpoint_take(struct endpoint_slot *slot, const char *home) {
  uint8_t machine[MACHINE_LEN];
  char path[HOME_PATH_MAX + 32];

  machine_hash(machine);
  snprintf(path, sizeof path, "%s/endpoints", home);
  if (mkdir(path, 0700) != 0 && errno != EEXIST) goto none;
  for (int i = 0; i < ENDPOINT_SLOTS_MAX; i++) {
    int fd;

    snprintf(path, sizeof path, "%s/endpoints/%d", home, i);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) break;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 && use_slot(slot, fd, machine)) return;
    close(fd);
  }
none:
  log_info("endpoint: no slot in the home, using a fresh id for this run");
  endpoint_random(slot);
}

void endpoint_release(struct endpoint_slot *slot) {
  if (slot->fd >= 0) close(slot->fd);
  slot->fd = -1;
  sodium_memzero(slot->secret, sizeof slot->secret);
}
