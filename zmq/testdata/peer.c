/* The other side in tests and benchmarks: libzmq itself.
 *
 *   peer pub ADDR SUBS COUNT SIZE   binds, waits for SUBS subscriptions, sends
 *   peer sub ADDR SUBS COUNT        connects SUBS sockets, receives COUNT on each
 *
 * sub prints the nanoseconds from its first message to its last.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zmq.h>

static long long now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int publish(void *ctx, const char *addr, int subs, long count, int size)
{
	int none = 0, i;
	char *body = calloc(1, size), byte[64];
	void *s = zmq_socket(ctx, ZMQ_XPUB);
	int verbose = 1;

	memset(body, 'x', size);
	zmq_setsockopt(s, ZMQ_SNDHWM, &none, sizeof none);
	zmq_setsockopt(s, ZMQ_XPUB_VERBOSE, &verbose, sizeof verbose);
	if (zmq_bind(s, addr) != 0)
		return 1;
	for (i = 0; i < subs; i++)
		zmq_recv(s, byte, sizeof byte, 0);
	for (; count > 0; count--) {
		zmq_send(s, "org.fedoraproject.prod.exam.bench", 33, ZMQ_SNDMORE);
		zmq_send(s, body, size, 0);
	}
	zmq_close(s);
	return 0;
}

static int subscribe(void *ctx, const char *addr, int subs, long count)
{
	int none = 0, i;
	long done = 0, *got = calloc(subs, sizeof *got);
	long long first = 0, last = 0;
	zmq_pollitem_t *items = calloc(subs, sizeof *items);
	zmq_msg_t msg;

	zmq_msg_init(&msg);
	for (i = 0; i < subs; i++) {
		void *s = zmq_socket(ctx, ZMQ_SUB);
		zmq_setsockopt(s, ZMQ_RCVHWM, &none, sizeof none);
		zmq_setsockopt(s, ZMQ_SUBSCRIBE, "", 0);
		if (zmq_connect(s, addr) != 0)
			return 1;
		items[i].socket = s;
		items[i].events = ZMQ_POLLIN;
	}
	while (done < subs) {
		if (zmq_poll(items, subs, 20000) <= 0) {
			fprintf(stderr, "nothing came for 20 s, %ld of %d are done\n", done, subs);
			return 1;
		}
		for (i = 0; i < subs; i++) {
			if (!(items[i].revents & ZMQ_POLLIN))
				continue;
			while (zmq_msg_recv(&msg, items[i].socket, ZMQ_DONTWAIT) >= 0) {
				if (zmq_msg_more(&msg))
					continue;
				if (first == 0)
					first = now();
				last = now();
				if (++got[i] == count)
					done++;
			}
		}
	}
	printf("%lld\n", last - first);
	for (i = 0; i < subs; i++)
		zmq_close(items[i].socket);
	return 0;
}

int main(int argc, char **argv)
{
	void *ctx = zmq_ctx_new();
	int status = 2;

	zmq_ctx_set(ctx, ZMQ_MAX_SOCKETS, 4096);
	if (argc == 6 && strcmp(argv[1], "pub") == 0)
		status = publish(ctx, argv[2], atoi(argv[3]), atol(argv[4]), atoi(argv[5]));
	else if (argc == 5 && strcmp(argv[1], "sub") == 0)
		status = subscribe(ctx, argv[2], atoi(argv[3]), atol(argv[4]));
	if (status == 0)
		zmq_ctx_term(ctx);
	return status;
}
