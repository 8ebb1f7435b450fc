package fedmsg_test

import (
	"encoding/json"
	"runtime"
	"strings"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// kilobyte returns an ordinary message of about 1 kB.
func kilobyte(tb testing.TB) []byte {
	tb.Helper()
	body := `{"agent":"ralph","update":{"title":"kernel-6.18.2-300.fc43","karma":3,"critpath":true,"notes":"` + strings.Repeat("fixes things; ", 45) +
		`","builds":[{"nvr":"kernel-6.18.2-300.fc43","epoch":0},{"nvr":"kernel-headers-6.18.2-300.fc43","epoch":0}]},"comment":null,"score":0.5}`
	m, err := fedmsg.Draft{
		Topic: "org.fedoraproject.prod.bodhi.update.comment", Body: json.RawMessage(body),
		ID: "2026-f1c49f0b-5caf-49e6-b79a-cc54bcfac602", Time: time.Unix(1767225600, 0), User: "bodhi", Counter: 42,
	}.Message()
	if err != nil {
		tb.Fatal(err)
	}
	return m.Bytes()
}

func BenchmarkDecode(b *testing.B) {
	in := kilobyte(b)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := fedmsg.Decode(in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDigest(b *testing.B) {
	m, err := fedmsg.Decode(kilobyte(b))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		m.Digest()
	}
}

// dense is the largest message with as many values as fit.
func dense() []byte {
	values := (fedmsg.MaxMessageSize - len(edit("msg", `{"a":[]}`))) / 2
	return []byte(edit("msg", `{"a":[`+strings.Repeat("1,", values-1)+`1]}`))
}

// A message of half a million values is one that a stranger may send. What it
// costs, in memory that is only used once, stays in proportion to its size.
func TestDecodeOfManyValuesIsBounded(t *testing.T) {
	const limit = 40 << 20
	in := dense()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	m, err := fedmsg.Decode(in)
	runtime.ReadMemStats(&after)
	if err != nil {
		t.Fatal(err)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > limit {
		t.Errorf("Decode of %d bytes takes %d bytes of memory, at most %d", len(in), used, limit)
	}
	runtime.ReadMemStats(&before)
	m.Digest()
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > limit {
		t.Errorf("Digest of %d bytes takes %d bytes of memory, at most %d", len(in), used, limit)
	}
}

func BenchmarkDecodeDense(b *testing.B) {
	in := dense()
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := fedmsg.Decode(in); err != nil {
			b.Fatal(err)
		}
	}
}
