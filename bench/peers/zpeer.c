/* zpeer is libzmq's side of the benchmarks.
 *
 *   zpeer relay IN OUT FILE RATE   sends the messages of FILE to IN, receives
 *                                  them from OUT; RATE per second, 0 is all at once
 *   zpeer proxy IN OUT             a relay that keeps nothing: SUB to PUB
 *   zpeer pub ENDPOINT SIZE HWM    publishes what its standard input asks for
 *   zpeer subs ENDPOINT COUNT      COUNT subscribers, until all have seen the end
 *
 * Each prints one JSON object a line. FILE holds frames, each after its length in
 * four bytes, big end first: topic, body, topic, body. The first PROBES messages
 * find out when both connections stand, and are not measured.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#define PROBES 100
#define IDLE_MS 4000

static long long now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t); /* the clock that Go's time.Now reads, too */
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void sleep_until(long long when)
{
	long long wait = when - now_ns();
	if (wait > 0) {
		struct timespec t = {wait / 1000000000LL, wait % 1000000000LL};
		nanosleep(&t, NULL);
	}
}

static void die(const char *what)
{
	fprintf(stderr, "zpeer: %s: %s\n", what, zmq_strerror(errno));
	exit(1);
}

static void *open_socket(void *ctx, int type, const char *endpoint, int bind, int hwm)
{
	void *s = zmq_socket(ctx, type);
	int linger = -1;
	if (!s || zmq_setsockopt(s, ZMQ_SNDHWM, &hwm, sizeof hwm) || zmq_setsockopt(s, ZMQ_RCVHWM, &hwm, sizeof hwm) ||
	    zmq_setsockopt(s, ZMQ_LINGER, &linger, sizeof linger))
		die("socket");
	if (type == ZMQ_SUB && zmq_setsockopt(s, ZMQ_SUBSCRIBE, "", 0))
		die("subscribe");
	if (bind ? zmq_bind(s, endpoint) : zmq_connect(s, endpoint))
		die(endpoint);
	return s;
}

static int compare(const void *a, const void *b)
{
	long long x = *(const long long *)a, y = *(const long long *)b;
	return (x > y) - (x < y);
}

static double percentile_us(long long *sorted, size_t n, double p)
{
	return n ? sorted[(size_t)(p * (n - 1))] / 1e3 : 0;
}

/* ---- relay ---- */

struct frame {
	const char *data;
	size_t len;
};

static struct frame *frames;
static size_t messages;
static long long *sent, *received;
static volatile size_t next_wanted, got, last_at;
static volatile int over;

static void load(const char *file)
{
	FILE *f = fopen(file, "rb");
	if (!f)
		die(file);
	fseek(f, 0, SEEK_END);
	long size = ftell(f);
	rewind(f);
	unsigned char *all = malloc(size);
	if (!all || fread(all, 1, size, f) != (size_t)size)
		die(file);
	fclose(f);
	size_t room = 1024, n = 0;
	frames = malloc(room * sizeof *frames);
	for (long at = 0; at + 4 <= size; n++) {
		size_t len = (size_t)all[at] << 24 | all[at + 1] << 16 | all[at + 2] << 8 | all[at + 3];
		if (n == room)
			frames = realloc(frames, (room *= 2) * sizeof *frames);
		frames[n] = (struct frame){(char *)all + at + 4, len};
		at += 4 + len;
	}
	messages = n / 2;
	sent = calloc(messages, sizeof *sent);
	received = calloc(messages, sizeof *received);
}

static void *receive(void *socket)
{
	int timeout = 100;
	zmq_setsockopt(socket, ZMQ_RCVTIMEO, &timeout, sizeof timeout);
	while (!over) {
		zmq_msg_t topic, body;
		zmq_msg_init(&topic);
		if (zmq_msg_recv(&topic, socket, 0) < 0)
			continue;
		zmq_msg_init(&body);
		zmq_msg_recv(&body, socket, 0);
		long long t = now_ns();
		/* In order: what is not the next one was lost before it. */
		for (size_t k = next_wanted; k < messages; k++) {
			struct frame *want = &frames[2 * k + 1];
			if (want->len == zmq_msg_size(&body) && !memcmp(want->data, zmq_msg_data(&body), want->len)) {
				received[k] = t;
				next_wanted = k + 1;
				got++;
				last_at = k;
				break;
			}
		}
		zmq_msg_close(&topic);
		zmq_msg_close(&body);
	}
	return NULL;
}

static void send_one(void *pub, size_t k)
{
	sent[k] = now_ns();
	if (zmq_send(pub, frames[2 * k].data, frames[2 * k].len, ZMQ_SNDMORE) < 0 ||
	    zmq_send(pub, frames[2 * k + 1].data, frames[2 * k + 1].len, 0) < 0)
		die("send");
}

static int relay(char **argv)
{
	load(argv[2]);
	double rate = atof(argv[3]);
	void *ctx = zmq_ctx_new();
	void *sub = open_socket(ctx, ZMQ_SUB, argv[1], 0, 0);
	void *pub = open_socket(ctx, ZMQ_PUB, argv[0], 0, 0);
	pthread_t receiver;
	pthread_create(&receiver, NULL, receive, sub);

	size_t k = 0;
	for (; k < PROBES && !got; k++) {
		send_one(pub, k);
		usleep(50000);
	}
	if (!got) {
		fprintf(stderr, "zpeer: relay: nothing came back from %s\n", argv[1]);
		return 1;
	}
	usleep(500000);
	size_t before = got;

	long long start = now_ns();
	for (k = PROBES; k < messages; k++) {
		if (rate > 0)
			sleep_until(start + (long long)((k - PROBES) * 1e9 / rate));
		send_one(pub, k);
	}
	long long sent_all = now_ns();
	for (size_t seen = 0, idle = 0; next_wanted < messages && idle < IDLE_MS; idle += 10) {
		usleep(10000);
		if (got != seen) {
			seen = got;
			idle = 0;
		}
	}
	over = 1;
	pthread_join(receiver, NULL);

	long long *took = malloc((messages + 1) * sizeof *took), last = start;
	size_t n = 0;
	for (k = PROBES; k < messages; k++)
		if (received[k]) {
			took[n++] = received[k] - sent[k];
			if (received[k] > last)
				last = received[k];
		}
	qsort(took, n, sizeof *took, compare);
	printf("{\"sent\":%zu,\"received\":%zu,\"send_seconds\":%.4f,\"seconds\":%.4f,\"p50_us\":%.1f,\"p99_us\":%.1f}\n",
	       messages - PROBES, got - before, (sent_all - start) / 1e9, (last - start) / 1e9,
	       percentile_us(took, n, .5), percentile_us(took, n, .99));
	int linger = 0;
	zmq_setsockopt(pub, ZMQ_LINGER, &linger, sizeof linger);
	return 0;
}

/* ---- proxy ---- */

static void proxy(char **argv)
{
	void *ctx = zmq_ctx_new();
	void *in = open_socket(ctx, ZMQ_SUB, argv[0], 1, 0);
	void *out = open_socket(ctx, ZMQ_PUB, argv[1], 1, 0);
	char a[256], b[256];
	size_t la = sizeof a, lb = sizeof b;
	zmq_getsockopt(in, ZMQ_LAST_ENDPOINT, a, &la);
	zmq_getsockopt(out, ZMQ_LAST_ENDPOINT, b, &lb);
	printf("{\"relay_inbound\":\"%s\",\"relay_outbound\":\"%s\"}\n", a, b);
	fflush(stdout);
	for (;;) {
		zmq_msg_t m;
		zmq_msg_init(&m);
		if (zmq_msg_recv(&m, in, 0) < 0)
			die("recv");
		int more = zmq_msg_more(&m);
		if (zmq_msg_send(&m, out, more ? ZMQ_SNDMORE : 0) < 0)
			die("send");
	}
}

/* ---- pub ---- */

/* A body of about size bytes; *id is where its 19 digits of time stand. */
static int make_body(char *body, size_t room, const char *topic, size_t size, char **id)
{
	int n = 0;
	for (int pad = 1, pass = 0; pass < 2; pass++) {
		n = snprintf(body, room, "{\"i\":1,\"msg\":{\"pad\":\"%0*d\"},\"msg_id\":\"t%019d\",\"timestamp\":%lld,\"topic\":\"%s\"}",
			     pad, 0, 0, (long long)time(NULL), topic);
		pad += size > (size_t)n ? (int)size - n : 0;
	}
	*id = strstr(body, "\"msg_id\":\"t") + 11;
	return n;
}

static void publish(void *pub, const char *kind, size_t size, long n, double rate)
{
	char topic[80], body[8192], digits[32], *id;
	int t = snprintf(topic, sizeof topic, "bench.%s", kind), len = make_body(body, sizeof body, topic, size, &id);
	long long start = now_ns();
	for (long k = 0; k < n; k++) {
		if (rate > 0) {
			sleep_until(start + (long long)(k * 1e9 / rate));
			snprintf(digits, sizeof digits, "%019lld", now_ns());
			memcpy(id, digits, 19);
		}
		if (zmq_send(pub, topic, t, ZMQ_SNDMORE) < 0 || zmq_send(pub, body, len, 0) < 0)
			die("send");
	}
	printf("{\"seconds\":%.4f}\n", (now_ns() - start) / 1e9);
	fflush(stdout);
}

static int pub(char **argv)
{
	void *ctx = zmq_ctx_new();
	void *pub = open_socket(ctx, ZMQ_PUB, argv[0], 1, atoi(argv[2]));
	size_t size = atol(argv[1]);
	char endpoint[256], line[256], word[64];
	size_t len = sizeof endpoint;
	zmq_getsockopt(pub, ZMQ_LAST_ENDPOINT, endpoint, &len);
	printf("{\"endpoint\":\"%s\"}\n", endpoint);
	fflush(stdout);
	while (fgets(line, sizeof line, stdin)) {
		long n = 1;
		double rate = 0;
		if (sscanf(line, "%63s %ld %lf", word, &n, &rate) < 1)
			continue;
		publish(pub, word, size, n, rate);
	}
	_exit(0); /* whoever is slow is left behind */
}

/* ---- subs ---- */

static int subs(char **argv)
{
	int count = atoi(argv[1]);
	void *ctx = zmq_ctx_new();
	zmq_ctx_set(ctx, ZMQ_MAX_SOCKETS, 4096);
	zmq_pollitem_t *items = calloc(count, sizeof *items);
	char *synced = calloc(count, 1), *ended = calloc(count, 1);
	for (int i = 0; i < count; i++) {
		items[i].socket = open_socket(ctx, ZMQ_SUB, argv[0], 0, 0);
		items[i].events = ZMQ_POLLIN;
	}
	size_t room = 1 << 16, n = 0, data = 0;
	long long *took = malloc(room * sizeof *took), first = 0, last = 0;
	int ready = 0, done = 0, idle = 0;
	while (done < count && idle < 100) {
		int events = zmq_poll(items, count, 100);
		idle = events > 0 ? 0 : idle + 1;
		for (int i = 0; i < count && events > 0; i++) {
			if (!(items[i].revents & ZMQ_POLLIN))
				continue;
			for (int burst = 0; burst < 1000; burst++) {
				zmq_msg_t topic, body;
				zmq_msg_init(&topic);
				if (zmq_msg_recv(&topic, items[i].socket, ZMQ_DONTWAIT) < 0)
					break;
				zmq_msg_init(&body);
				zmq_msg_recv(&body, items[i].socket, 0);
				char kind = zmq_msg_size(&topic) > 6 ? ((char *)zmq_msg_data(&topic))[6] : '?';
				if (kind == 's' && !synced[i]) {
					synced[i] = 1;
					if (++ready == count) {
						puts("{\"ready\":true}");
						fflush(stdout);
					}
				} else if (kind == 'd' || kind == 'r') {
					last = now_ns();
					if (!first)
						first = last;
					data++;
					if (kind == 'r') { /* at a rate, so that the way is measured */
						char *id = memmem(zmq_msg_data(&body), zmq_msg_size(&body), "\"msg_id\":\"t", 11);
						if (n == room)
							took = realloc(took, (room *= 2) * sizeof *took);
						if (id)
							took[n++] = last - strtoll(id + 11, NULL, 10);
					}
				} else if (kind == 'e' && !ended[i]) {
					ended[i] = 1;
					done++;
				}
				zmq_msg_close(&topic);
				zmq_msg_close(&body);
			}
		}
	}
	qsort(took, n, sizeof *took, compare);
	printf("{\"delivered\":%zu,\"seconds\":%.4f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"ended\":%d}\n", data,
	       (last - first) / 1e9, percentile_us(took, n, .5), percentile_us(took, n, .99), done);
	fflush(stdout);
	_exit(0);
}

int main(int argc, char **argv)
{
	if (argc == 6 && !strcmp(argv[1], "relay"))
		return relay(argv + 2);
	if (argc == 4 && !strcmp(argv[1], "proxy"))
		proxy(argv + 2);
	if (argc == 5 && !strcmp(argv[1], "pub"))
		return pub(argv + 2);
	if (argc == 4 && !strcmp(argv[1], "subs"))
		return subs(argv + 2);
	fprintf(stderr, "usage: zpeer relay IN OUT FILE RATE | proxy IN OUT | pub ENDPOINT SIZE HWM | subs ENDPOINT COUNT\n");
	return 64;
}
