package dumps

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// records reads a text, and tells of each record its line and its text or error.
func records(t *testing.T, text string, from int64, slow bool) (got []string) {
	t.Helper()
	var stdin io.Reader = strings.NewReader(text)
	if slow {
		stdin = iotest.OneByteReader(stdin)
	}
	f, err := Open(stdin, "-")
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Records(t.Context(), from, func(r Record) bool {
		what := string(r.Text)
		if r.Err != nil {
			what = string(fedmsg.ReasonOf(r.Err))
		}
		got = append(got, fmt.Sprintf("%d %s", r.Line, what))
		return true
	}); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestRecords(t *testing.T) {
	tests := []struct {
		name, text string
		want       []string
	}{
		{"nothing", "", nil},
		{"lines", "{\"a\":1}\n{\"b\":2}\n", []string{`1 {"a":1}`, `2 {"b":2}`}},
		{"no newline at the end", "{\"a\":1}\r\n\n{}", []string{`1 {"a":1}`, `3 {}`}},
		{"a list", "[{\"a\":1},\n{\"b\":[{}]}, {\"c\":\"}]\\\"\"}\n]\n", []string{`1 {"a":1}`, `2 {"b":[{}]}`, `2 {"c":"}]\""}`}},
		{"laid out", "[\n  {\n    \"a\": {\n      \"b\": 1\n    }\n  }\n]", []string{"2 {\n    \"a\": {\n      \"b\": 1\n    }\n  }"}},
		{"cut off, and another", "{\"a\":{\"b\":\n{\"c\":3}\n", []string{"1 bad_json", `2 {"c":3}`}},
		{"cut off in a text", "{\"a\":\"x\n{\"c\":3}\n", []string{"1 bad_json", `2 {"c":3}`}},
		{"cut off at the end", "{\"a\":1}\n{\"b\":", []string{`1 {"a":1}`, "2 bad_json"}},
		{"no objects", "hello {\"a\":1}\n17\n{\"b\":2}\n", []string{"1 not_object", "2 not_object", `3 {"b":2}`}},
	}
	for _, tt := range tests {
		for _, slow := range []bool{false, true} {
			if got := records(t, tt.text, 0, slow); !slices.Equal(got, tt.want) {
				t.Errorf("%s, slow %v: %q, want %q", tt.name, slow, got, tt.want)
			}
		}
	}
}

// An import that was broken off goes on behind the record that was the last.
func TestRecordsGoOn(t *testing.T) {
	text := "[{\"a\":1},{\"b\":2}\n,{\"c\":3}]\n"
	if got, want := records(t, text, int64(strings.Index(text, `,{"b"`)), false), []string{`1 {"b":2}`, `2 {"c":3}`}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestRecordsLong(t *testing.T) {
	long := `{"a":"` + strings.Repeat("x", maxRecord) + "\"}\n{\"b\":2}\n"
	if got, want := records(t, long, 0, false), []string{"1 too_large", `2 {"b":2}`}; !slices.Equal(got, want) {
		t.Errorf("%.100q, want %q", got, want)
	}
}

func TestPackedCutOff(t *testing.T) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	for i := range 1000 {
		fmt.Fprintf(w, "{\"i\":%d}\n", i*i)
	}
	w.Close()
	f, err := Open(bytes.NewReader(packed.Bytes()[:packed.Len()/2]), "-")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	err = f.Records(context.Background(), 0, func(r Record) bool { n++; return true })
	if n < 10 || fedmsg.Hint(err) != "" || !strings.Contains(fmt.Sprint(err), "truncated") {
		t.Errorf("%d records, %v", n, err)
	}
}

func TestConvert(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	const plain = `{"i":1,"msg":{"a":1},"msg_id":"2014-1","timestamp":1400000000,"topic":"org.x.prod.a.b"}`
	tests := []struct{ name, text, want string }{
		{"a message", plain, plain},
		{"its spelling is kept", `{"topic": "org.x.prod.a.b", "msg": {}, "msg_id": "2014-1", "timestamp": 1400000000, "username": null}`, `{"topic": "org.x.prod.a.b", "msg": {}, "msg_id": "2014-1", "timestamp": 1400000000, "username": null}`},
		{"a row of datagrepper", `{"i":1,"msg_id":"2014-1","topic":"org.x.prod.a.b","timestamp":1400000000.0,"certificate":null,"signature":null,"agent_name":"bob","username":"bob","crypto":null,` +
			`"msg":{"a":1},"headers":{},"source_name":"datanommer","source_version":"1.4.0","users":["bob"],"packages":[],"meta":{"subtitle":"x"}}`, plain},
		{"a whole answer", `{"count":1,"raw_messages":[{"source_name":"datanommer","source_version":"1","i":1,"msg":{"a":1},"msg_id":"2014-1","timestamp":1400000000.0,"topic":"org.x.prod.a.b"}],"pages":1}`, plain},
		{"a signed row keeps what was signed", `{"source_name":"datanommer","source_version":"1","headers":null,"i":1,"msg":{},"msg_id":"2014-1","signature":"c2ln","certificate":"Y2VydA==","crypto":"x509","username":null,"timestamp":1400000000.5,"topic":"a.b"}`,
			`{"certificate":"Y2VydA==","crypto":"x509","i":1,"msg":{},"msg_id":"2014-1","signature":"c2ln","timestamp":1400000000,"topic":"a.b","username":null}`},
		{"a record of fedora-messaging", `{"body":{"a":1},"headers":{"sent-at":"2014-05-13T16:53:20+00:00"},"id":"abc","priority":0,"queue":null,"topic":"a.b"}`,
			`{"headers":{"sent-at":"2014-05-13T16:53:20+00:00"},"i":0,"msg":{"a":1},"msg_id":"abc","timestamp":1400000000,"topic":"a.b"}`},
		{"an element of a bus", `{"seq":7,"at":"2026-11-24T10:00:00.123456Z","verified":"x509:a","message":` + plain + `}`, plain},
		{"without an ID", `{"msg":{"é":1},"timestamp":1340000000,"topic":"a.b"}`, `{"msg":{"\u00e9":1},"msg_id":"2012-bdda4972-7455-80d7-88d9-02bfb1838c0a","timestamp":1340000000,"topic":"a.b"}`},
		{"the future", `{"msg":{},"timestamp":1800000000,"topic":"a.b"}`, "future"},
		{"milliseconds", `{"msg":{},"timestamp":1400000000000,"topic":"a.b"}`, "future"},
		{"no topic", `{"msg":{},"timestamp":1400000000}`, "missing_field"},
		{"no body", `{"topic":"a.b","timestamp":1400000000}`, "missing_field"},
		{"no time", `{"topic":"a.b","msg":{}}`, "bad_timestamp"},
		{"a record without a time", `{"body":{},"headers":{},"id":"abc","topic":"a.b"}`, "bad_timestamp"},
		{"half a character", `{"topic":"a.b","msg":{"s":"\ud83d\ude00 \udc00"},"timestamp":1400000000}`, "bad_json"},
		{"NaN", `{"topic":"a.b","msg":{"s":NaN},"timestamp":1400000000,"msg_id":"2014-1"}`, `{"topic":"a.b","msg":{"s":NaN},"timestamp":1400000000,"msg_id":"2014-1"}`},
		{"no half: the backslash is escaped", `{"topic":"a.b","msg":{"s":"\\ud800"},"timestamp":1400000000,"msg_id":"2014-1"}`, `{"topic":"a.b","msg":{"s":"\\ud800"},"timestamp":1400000000,"msg_id":"2014-1"}`},
		{"a bad ID", `{"topic":"a.b","msg":{},"timestamp":1400000000,"msg_id":"../x"}`, "bad_field"},
		{"no JSON", `{"topic":}`, "bad_json"},
	}
	for _, tt := range tests {
		said, err := Convert([]byte(tt.text), now)
		got := string(fedmsg.ReasonOf(err))
		if err == nil && len(said) == 1 {
			got = string(said[0].Message.Bytes())
		}
		if got != tt.want {
			t.Errorf("%s: %s (%v), want %s", tt.name, got, err, tt.want)
		}
	}
}

func FuzzConvert(f *testing.F) {
	f.Add([]byte(`{"raw_messages":[{"source_name":"d","source_version":"1","msg":{},"timestamp":1.5,"topic":"a.b"}]}`))
	f.Add([]byte(`{"body":{},"headers":{"sent-at":"2014-05-13T16:53:20+00:00"},"id":"abc","topic":"a.b"}`))
	f.Add([]byte(`{"seq":7,"verified":"none","message":{"msg":{"s":"\ud83d\ude00"},"timestamp":1340000000,"topic":"a.b"}}`))
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text []byte) {
		said, err := Convert(text, now)
		if err == nil && len(said) == 0 && !bytes.Contains(text, []byte("raw_messages")) {
			t.Error("neither a message nor an error")
		}
		for _, s := range said {
			again, err := Convert(s.Message.Bytes(), now)
			if err != nil || len(again) != 1 || again[0].Message.ID != s.Message.ID {
				t.Errorf("%s, converted again: %v, %v", s.Message.Bytes(), again, err)
			}
		}
	})
}
