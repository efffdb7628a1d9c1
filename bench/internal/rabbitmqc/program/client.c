// One job of rabbitmq-c, the result as one line of JSON. Usage:
//   client publish|consume HOST PORT QUEUE SIZE PREFETCH SECONDS PERSISTENT MESSAGES
#include <amqp.h>
#include <amqp_tcp_socket.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static void die(const char *what) {
  printf("{\"Err\":\"%s\"}\n", what);
  exit(0);
}

static void check(amqp_rpc_reply_t r, const char *what) {
  if (r.reply_type != AMQP_RESPONSE_NORMAL) die(what);
}

static double wall(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static double cpu(void) {
  struct rusage r;
  getrusage(RUSAGE_SELF, &r);
  return r.ru_utime.tv_sec + r.ru_stime.tv_sec + (r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

int main(int argc, char **argv) {
  if (argc != 10) die("nine arguments are needed");
  int consume = strcmp(argv[1], "consume") == 0;
  amqp_bytes_t queue = amqp_cstring_bytes(argv[4]);
  size_t size = atol(argv[5]);
  int prefetch = atoi(argv[6]);
  double seconds = atof(argv[7]);
  int persistent = atoi(argv[8]);
  long limit = atol(argv[9]);

  amqp_connection_state_t conn = amqp_new_connection();
  amqp_socket_t *socket = amqp_tcp_socket_new(conn);
  if (socket == NULL || amqp_socket_open(socket, argv[2], atoi(argv[3])) != 0) die("cannot connect");
  check(amqp_login(conn, "/", 0, 131072, 0, AMQP_SASL_METHOD_PLAIN, "guest", "guest"), "login refused");
  amqp_channel_open(conn, 1);
  check(amqp_get_rpc_reply(conn), "no channel");

  amqp_basic_properties_t props = {0};
  if (persistent) {
    props._flags = AMQP_BASIC_DELIVERY_MODE_FLAG;
    props.delivery_mode = 2;
  }
  amqp_bytes_t body = {size, calloc(1, size + 1)};
  if (consume) {
    if (prefetch > 0) amqp_basic_qos(conn, 1, 0, prefetch, 0);
    amqp_basic_consume(conn, 1, queue, amqp_empty_bytes, 0, prefetch == 0, 0, amqp_empty_table);
    check(amqp_get_rpc_reply(conn), "consume refused");
  }
  double start = wall(), used = cpu(), end = start + seconds;
  long n = 0;
  struct timeval patience = {5, 0};
  while ((n % 64 != 0 || wall() < end) && (limit == 0 || n < limit)) {
    if (consume) {
      amqp_envelope_t e;
      amqp_maybe_release_buffers(conn);
      check(amqp_consume_message(conn, &e, &patience, 0), "no delivery");
      if (prefetch > 0 && amqp_basic_ack(conn, 1, e.delivery_tag, 0) != 0) die("ack failed");
      amqp_destroy_envelope(&e);
    } else if (amqp_basic_publish(conn, 1, amqp_empty_bytes, queue, 0, 0, &props, body) != 0) {
      die("publish failed");
    }
    n++;
  }
  if (!consume) check(amqp_connection_close(conn, 200), "close failed");
  printf("{\"Messages\":%ld,\"Seconds\":%.6f,\"CPU\":%.6f,\"Allocs\":-1}\n", n, wall() - start, cpu() - used);
  return 0;
}
