package fedmsgtest_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
)

// packed is base64 of gzip of a text.
func packed(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(b.Bytes())
}

func TestText(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want fedmsgtest.Text
		ok   bool
	}{
		{`"a\u0000b"`, fedmsgtest.Text("a\x00b"), true},
		{`""`, fedmsgtest.Text{}, true},
		{`null`, nil, true},
		{`{"$repeat":"ab","n":3}`, fedmsgtest.Text("ababab"), true},
		{`{"$gz_b64":"` + packed(t, "long") + `"}`, fedmsgtest.Text("long"), true},
		{`{"$gz_b64":"AAAA"}`, nil, false},
		{`{"$gz_b64":"not base64"}`, nil, false},
		{`{"$another":1}`, nil, false},
		{`7`, nil, false},
	} {
		var got fedmsgtest.Text
		err := json.Unmarshal([]byte(tt.in), &got)
		if (err == nil) != tt.ok || tt.ok && (!bytes.Equal(got, tt.want) || (got == nil) != (tt.want == nil)) {
			t.Errorf("Text of %s = %q, %v; want %q, ok = %t", tt.in, got, err, tt.want, tt.ok)
		}
	}
}

func TestZMQInput(t *testing.T) {
	text := fmt.Sprintf(`{"frames_b64":["b3Jn"],"frames_gz_b64":["%s"],"tcp_gz_b64":"%s","send_times":5,"config":{"crl_location":"other.pem"}}`,
		packed(t, "{}"), packed(t, "GET /"))
	var got fedmsgtest.ZMQInput
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	if want := [][]byte{[]byte("org"), []byte("{}")}; !slices.EqualFunc(got.Frames, want, bytes.Equal) || string(got.TCP) != "GET /" || got.Times != 5 {
		t.Errorf("frames %q, tcp %q, %d times; want %q, GET /, 5 times", got.Frames, got.TCP, got.Times, want)
	}
	if want := (fedmsgtest.ZMQConfig{CA: "ca.crt", CRL: "other.pem", Validate: true}); got.Config != want {
		t.Errorf("config %+v, want %+v", got.Config, want)
	}
	if err := json.Unmarshal([]byte(`{"frames_b64":["b3Jn"]}`), &got); err != nil || got.TCP != nil {
		t.Errorf("without tcp_b64: tcp %q, %v; want nil", got.TCP, err)
	}
	if want := (fedmsgtest.ZMQConfig{CA: "ca.crt", CRL: "crl.pem", Validate: true}); got.Config != want {
		t.Errorf("config %+v, want %+v", got.Config, want)
	}
}

// A relative folder is as seen from the root of the module, also from here; a
// folder that is not there skips the test.
func TestInputDirs(t *testing.T) {
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("FEDMSG_BADINPUTS", "docs")
	if got, want := fedmsgtest.BadInputDir(t), filepath.Join(root, "docs"); got != want {
		t.Errorf("BadInputDir with docs = %s, want %s", got, want)
	}
	dir := t.TempDir()
	t.Setenv("FEDMSG_CORPUS", dir)
	if got := fedmsgtest.CorpusDir(t); got != dir {
		t.Errorf("CorpusDir with %s = %s", dir, got)
	}
	t.Setenv("FEDMSG_VECTORS", "no/such/folder")
	if got := ending(t, func(t testing.TB) { fedmsgtest.VectorDir(t) }); !strings.HasPrefix(got, "skip: no vectors: set FEDMSG_VECTORS") {
		t.Errorf("VectorDir of a missing folder ends with %q, want a skip that names FEDMSG_VECTORS", got)
	}
}

func TestRows(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rows.jsonl")
	long := strings.Repeat("x", 1<<20)
	if err := os.WriteFile(file, []byte(`{"n":1}`+"\n"+`{"n":2,"text":"`+long+`"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	got := fedmsgtest.Rows[struct {
		N    int
		Text string
	}](t, file)
	if len(got) != 2 || got[0].N != 1 || got[1].N != 2 || got[1].Text != long {
		t.Errorf("Rows = %d rows, want 1 and 2, whole", len(got))
	}
}
