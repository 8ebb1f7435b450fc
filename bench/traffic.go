package main

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// What the traffic is made of. Its size and skew are those that the original was
// measured with: 1,132 bytes of body and 208 of headers a message, the busiest topic
// 12 % of all, the busiest category 24 %, the busiest user 8 %.
const (
	trafficTopics     = 113
	trafficCategories = 32
	trafficUsers      = 6000
	trafficPackages   = 24_000
	trafficWords      = 30_000
	trafficDays       = 30
)

// A traffic makes messages of a made-up distribution at work, the same ones for the
// same seed, but for the day on which they begin. Each object, an update, occurs in
// about five of them.
type traffic struct {
	rng                            *rand.Rand
	begin                          time.Time
	step                           time.Duration // between two messages, on average
	at                             time.Time
	made                           int
	topics, users, packages, words *rand.Zipf
	vocabulary                     []string
}

// newTraffic makes a traffic of n messages in the thirty days before this one.
func newTraffic(n int) *traffic {
	rng := rand.New(rand.NewPCG(20_12_03, 1))
	end := time.Now().UTC().Truncate(24 * time.Hour)
	t := &traffic{rng: rng, begin: end.AddDate(0, 0, -trafficDays), topics: rand.NewZipf(rng, 1.2, 3, trafficTopics-1), users: rand.NewZipf(rng, 1.2, 6, trafficUsers-1),
		packages: rand.NewZipf(rng, 1.1, 8, trafficPackages-1), words: rand.NewZipf(rng, 1.1, 8, trafficWords-1)}
	t.at, t.step = t.begin, end.Sub(t.begin)/time.Duration(n+1)
	for range trafficWords {
		letters := make([]byte, 3+rng.IntN(7))
		for i := range letters {
			letters[i] = "etaoinshrdlucmfwypvbgkqjxz"[min(rng.IntN(26), rng.IntN(26))]
		}
		t.vocabulary = append(t.vocabulary, string(letters))
	}
	return t
}

// categoryName is the category of a topic: the two busiest ones have the same.
func categoryName(topic int) string {
	return fmt.Sprintf("service%d", max(0, topic-1)%trafficCategories)
}

func topicName(n int) string {
	return fmt.Sprintf("org.example.prod.%s.thing%d.change", categoryName(n), n)
}
func userName(n uint64) string    { return fmt.Sprintf("user%d", n) }
func packageName(n uint64) string { return fmt.Sprintf("package-%d", n) }

func (t *traffic) hash(bytes int) string {
	b := make([]byte, bytes)
	for i := range b {
		b[i] = byte(t.rng.Uint32())
	}
	return hex.EncodeToString(b)
}

// next makes an entry.
func (t *traffic) next() (fedmsg.Entry, error) {
	t.made++
	// Evenly over the days, and uneven from one to the next: else the last ones would
	// come at another time for another number of messages.
	t.at = t.begin.Add(time.Duration(t.made) * t.step).Add(time.Duration(t.rng.Float64() * float64(t.step)))
	topic := int(t.topics.Uint64())
	user, other, pkg := userName(t.users.Uint64()), userName(t.users.Uint64()), packageName(t.packages.Uint64())
	object := fmt.Sprintf("UPDATE-%d", t.made/5-t.rng.IntN(min(40, t.made/5+1)))
	build := 1_000_000 + t.rng.IntN(1_000_000)
	var b strings.Builder
	fmt.Fprintf(&b, `{"agent":%q,"owner":%q,"package":%q,"update":%q,"build_id":%d,"task":%d,"state":%d,"old":0,"new":1,"instance":"primary","release":"%d.fc44",`+
		`"version":"%d.%d.%d","url":"https://src.example.org/rpms/%s/c/%s","commit":{"email":"%s@example.org","path":"/srv/git/repositories/rpms/%s.git","repo":%q,"branch":"rawhide",`+
		`"seen":false,"rev":%q,"stats":{"files":{"%s.spec":{"additions":%d,"deletions":%d,"lines":%d},"sources":{"additions":1,"deletions":1,"lines":2}},`+
		`"total":{"additions":%d,"deletions":%d,"files":2,"lines":%d}},"namespace":"rpms"},"request":{"id":%d,"arches":["x86_64","aarch64","ppc64le","s390x"],"priority":20,"scratch":false},"text":"`,
		user, other, pkg, object, build, build*3, t.rng.IntN(5), t.rng.IntN(9), t.rng.IntN(20), t.rng.IntN(20), t.rng.IntN(20), pkg, t.hash(20), user, pkg, pkg, t.hash(20), pkg,
		t.rng.IntN(99), t.rng.IntN(99), t.rng.IntN(198), t.rng.IntN(99), t.rng.IntN(99), t.rng.IntN(198), build+7)
	for size := 1000 + t.rng.IntN(240); b.Len() < size; {
		b.WriteString(t.vocabulary[t.words.Uint64()] + " ")
	}
	b.WriteString(`"}`)
	raw := fmt.Sprintf(`{"topic":%q,"msg_id":"%d-%s","timestamp":%d.%03d,"i":%d,"username":"apache","headers":{"fedora_messaging_schema":"%s.thing%d.v1","fedora_messaging_severity":20,`+
		`"sent-at":%q,"x-received-from":%q},"msg":%s}`,
		topicName(topic), t.at.Year(), t.hash(16), t.at.Unix(), t.at.Nanosecond()/1e6, t.made, categoryName(topic), topic, t.at.Format(time.RFC3339), t.hash(16), b.String())
	m, err := fedmsg.Decode([]byte(raw))
	if err != nil {
		return fedmsg.Entry{}, fmt.Errorf("message %d: %w", t.made, err)
	}
	return fedmsg.Entry{Seq: fedmsg.Seq(t.made), At: t.at.Truncate(time.Microsecond), Verified: "x509:builder.example.org", Message: m}, nil
}

func (t *traffic) batch(n int) ([]fedmsg.Entry, error) {
	entries := make([]fedmsg.Entry, n)
	for i := range entries {
		var err error
		if entries[i], err = t.next(); err != nil {
			return nil, err
		}
	}
	return entries, nil
}

// writeRules writes rule files for all services of a traffic.
func writeRules(dir string) error {
	for n := range trafficCategories {
		name := categoryName(n + 1)
		if err := os.WriteFile(filepath.Join(dir, name+".toml"), []byte(strings.ReplaceAll(trafficRules, "SERVICE", name)), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// trafficRules are the rules for one service.
const trafficRules = `
service   = "SERVICE"
people    = "example.org"
link      = 'https://example.org/SERVICE/{{.build_id}}'
agent     = '{{.agent}}'
usernames = ['{{.agent}}', '{{.owner}}']
packages  = ['{{.package}}']
objects   = ['updates/{{.update}}']

[tables.state]
0 = "started"
1 = "finished"
2 = "failed"

[[rule]]
topic    = "#"
subtitle = '{{.agent}} {{lookup "state" .state "changed"}} the build of {{.package}}'
`
