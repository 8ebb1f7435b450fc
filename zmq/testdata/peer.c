/* The other side in tests and benchmarks: libzmq itself.
 *
 *   peer pub ADDR SUBS COUNT SIZE RATE   binds, waits for SUBS subscriptions, sends
 *                                        RATE messages a second, 0 for as fast as it can
 *   peer sub ADDR SUBS COUNT             connects SUBS sockets, receives COUNT on each
 *
 * A body begins with the time when it was sent, in nanoseconds since 1970. sub
 * prints the nanoseconds from its first message to its last, then the 50th and
 * the 99th percentile of the nanoseconds that messages were on their way.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zmq.h>

static long long now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int publish(void *ctx, const char *addr, int subs, long count, int size, long rate)
{
	int none = 0, i;
	long long next = 0, sent;
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
		if (rate > 0) {
			struct timespec pause = {0, 0};
			next = next ? next + 1000000000LL / rate : now();
			pause.tv_nsec = next > now() ? next - now() : 0;
			nanosleep(&pause, NULL);
		}
		sent = now();
		memcpy(body, &sent, sizeof sent);
		zmq_send(s, "org.fedoraproject.prod.exam.bench", 33, ZMQ_SNDMORE);
		zmq_send(s, body, size, 0);
	}
	zmq_close(s);
	return 0;
}

static int compare(const void *a, const void *b)
{
	long long x = *(const long long *)a, y = *(const long long *)b;
	return (x > y) - (x < y);
}

static int subscribe(void *ctx, const char *addr, int subs, long count)
{
	int none = 0, i;
	long done = 0, all = 0, *got = calloc(subs, sizeof *got);
	long long first = 0, last = 0, sent, *took = calloc(subs * count, sizeof *took);
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
				if (zmq_msg_more(&msg) || zmq_msg_size(&msg) == 0)
					continue; /* a topic, or a probe */
				if (first == 0)
					first = now();
				last = now();
				memcpy(&sent, zmq_msg_data(&msg), sizeof sent);
				if (all < subs * count)
					took[all++] = last - sent;
				if (++got[i] == count)
					done++;
			}
		}
	}
	qsort(took, all, sizeof *took, compare);
	printf("%lld %lld %lld\n", last - first, took[all / 2], took[all / 100 * 99]);
	for (i = 0; i < subs; i++)
		zmq_close(items[i].socket);
	return 0;
}

int main(int argc, char **argv)
{
	void *ctx = zmq_ctx_new();
	int status = 2;

	zmq_ctx_set(ctx, ZMQ_MAX_SOCKETS, 4096);
	if (argc == 7 && strcmp(argv[1], "pub") == 0)
		status = publish(ctx, argv[2], atoi(argv[3]), atol(argv[4]), atoi(argv[5]), atol(argv[6]));
	else if (argc == 5 && strcmp(argv[1], "sub") == 0)
		status = subscribe(ctx, argv[2], atoi(argv[3]), atol(argv[4]));
	if (status == 0)
		zmq_ctx_term(ctx);
	return status;
}
