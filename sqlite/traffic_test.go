package sqlite_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// A traffic makes messages like those of a distribution at work: of about 1.1 kB, a
// few topics, users and packages very often, most seldom, by Zipf's law. It makes
// the same ones for the same seed.
type traffic struct {
	rng                            *rand.Rand
	at                             time.Time
	step                           time.Duration // from one message to the next, on average
	seq                            fedmsg.Seq
	topics, users, packages, words *rand.Zipf
	vocabulary                     []string
}

func newTraffic(seed uint64, at time.Time, step time.Duration) *traffic {
	rng := rand.New(rand.NewPCG(seed, 1))
	t := &traffic{rng: rng, at: at, step: step, topics: rand.NewZipf(rng, 1.2, 2, 112), users: rand.NewZipf(rng, 1.2, 4, 5999),
		packages: rand.NewZipf(rng, 1.1, 8, 23999), words: rand.NewZipf(rng, 1.1, 8, 29999)}
	for range 30000 {
		letters := make([]byte, 3+rng.IntN(7))
		for i := range letters {
			letters[i] = "etaoinshrdlucmfwypvbgkqjxz"[min(rng.IntN(26), rng.IntN(26))]
		}
		t.vocabulary = append(t.vocabulary, string(letters))
	}
	return t
}

func (t *traffic) hash() string {
	b := make([]byte, 20)
	for i := range b {
		b[i] = byte(t.rng.Uint32())
	}
	return hex.EncodeToString(b)
}

func (t *traffic) sentence(n int) string {
	var b strings.Builder
	for range n {
		b.WriteString(t.vocabulary[t.words.Uint64()] + " ")
	}
	return b.String()
}

// next makes an entry.
func (t *traffic) next() fedmsg.Entry {
	t.at = t.at.Add(time.Duration(t.rng.ExpFloat64() * float64(t.step)))
	t.seq++
	topic := t.topics.Uint64()
	user, other := fmt.Sprintf("user%d", t.users.Uint64()), fmt.Sprintf("user%d", t.users.Uint64())
	pkg := fmt.Sprintf("package-%d", t.packages.Uint64())
	build := 1_000_000 + t.rng.IntN(1_000_000)
	body := fmt.Sprintf(`{"agent":%q,"owner":%q,"package":%q,"object":"packages/%s","build_id":%d,"task":%d,"state":%d,"old":0,"new":1,`+
		`"instance":"primary","release":"%d.fc44","version":"%d.%d.%d","rev":%q,"url":"https://src.example.org/rpms/%s/c/%s","email":"%s@example.org",`+
		`"summary":%q,"message":%q,"stats":{"files":{"%s.spec":{"additions":%d,"deletions":%d}},"total":{"additions":%d,"files":1}},"branch":"rawhide","seen":false}`,
		user, other, pkg, pkg, build, build*3, t.rng.IntN(5), t.rng.IntN(9), t.rng.IntN(20), t.rng.IntN(20), t.rng.IntN(20), t.hash(), pkg, t.hash(), user,
		t.sentence(6), t.sentence(25+t.rng.IntN(40)), pkg, t.rng.IntN(99), t.rng.IntN(99), t.rng.IntN(99))
	id := fmt.Sprintf("%d-%s", t.at.Year(), uuid(t.rng))
	m, err := fedmsg.Draft{Topic: fedmsg.Topic(fmt.Sprintf("org.fedoraproject.prod.category%d.kind%d.change", topic%32, topic)), ID: id, Time: t.at, Body: []byte(body), User: "apache", Counter: int(t.seq)}.Message()
	if err == nil { // drafts have whole seconds
		m, err = m.With(fedmsg.Member{Name: "timestamp", JSON: fmt.Appendf(nil, "%d.%03d", t.at.Unix(), t.at.Nanosecond()/1e6)})
	}
	if err != nil {
		panic(err)
	}
	return fedmsg.Entry{Seq: t.seq, At: t.at.UTC().Truncate(time.Microsecond), Verified: "x509:builder.example.org", Message: m}
}

func uuid(rng *rand.Rand) string {
	a, b := rng.Uint64(), rng.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", a>>32, a>>16&0xFFFF, a&0xFFF, b>>48&0xFFF, b&0xFFFFFFFFFFFF)
}

func (t *traffic) batch(n int) []fedmsg.Entry {
	entries := make([]fedmsg.Entry, n)
	for i := range entries {
		entries[i] = t.next()
	}
	return entries
}

// trafficWords finds the words of a traffic's messages, quickly.
type trafficWords struct{}

func (trafficWords) Describe(_ context.Context, m *fedmsg.Message) fedmsg.Words {
	body := string(m.Body)
	value := func(name string) string {
		_, rest, _ := strings.Cut(body, `"`+name+`":"`)
		v, _, _ := strings.Cut(rest, `"`)
		return v
	}
	users := slices.Compact(slices.Sorted(slices.Values([]string{value("agent"), value("owner")})))
	return fedmsg.Words{Agent: value("agent"), Usernames: users, Packages: []string{value("package")}, Objects: []string{value("object")}}
}
