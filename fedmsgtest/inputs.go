package fedmsgtest

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// VectorDir returns the folder of vectors that were made with the original:
// fedmsg in the folder that FEDMSG_VECTORS names. Without it the test is
// skipped.
func VectorDir(t testing.TB) string {
	t.Helper()
	return inputDir(t, "FEDMSG_VECTORS", "vectors", "fedmsg")
}

// BadInputDir returns the folder of hostile input, which FEDMSG_BADINPUTS
// names. Without it the test is skipped.
func BadInputDir(t testing.TB) string {
	t.Helper()
	return inputDir(t, "FEDMSG_BADINPUTS", "badinputs", "")
}

// CorpusDir returns the folder of real messages, which FEDMSG_CORPUS names.
// Without it the test is skipped.
func CorpusDir(t testing.TB) string {
	t.Helper()
	return inputDir(t, "FEDMSG_CORPUS", "corpus", "")
}

// inputDir finds a folder of inputs that do not stand in the module. A relative
// one is as seen from the module's root, wherever the test runs.
func inputDir(t testing.TB, env, name, below string) string {
	t.Helper()
	dir := cmp.Or(os.Getenv(env), filepath.Join("..", "shared", name))
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(moduleRoot(t), dir)
	}
	dir = filepath.Join(dir, below)
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no %s: set %s to their folder: %v", name, env, err)
	}
	return dir
}

// moduleRoot walks up to the folder that has go.mod.
func moduleRoot(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		_, err := os.Stat(filepath.Join(dir, "go.mod"))
		if err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if !errors.Is(err, os.ErrNotExist) || up == dir {
			t.Fatalf("go.mod is not above the test's folder: %v", err)
		}
		dir = up
	}
}

// Rows reads a file of JSON documents, one a line of at most 16 MiB. The test
// ends if there are none, or one does not fit T.
func Rows[T any](t testing.TB, file string) []T {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []T
	scan := bufio.NewScanner(f)
	scan.Buffer(nil, 16<<20)
	for scan.Scan() {
		var row T
		if err := json.Unmarshal(scan.Bytes(), &row); err != nil {
			t.Fatalf("%s line %d: %v", file, len(all)+1, err)
		}
		all = append(all, row)
	}
	if err := scan.Err(); err != nil || len(all) == 0 {
		t.Fatalf("%s: %d rows, %v", file, len(all), err)
	}
	return all
}

// Vectors reads a file of vectors, one a line; see [VectorDir].
func Vectors[T any](t testing.TB, name string) []T {
	t.Helper()
	return Rows[T](t, filepath.Join(VectorDir(t), name))
}

// A Text is a text in a case of hostile input: a JSON string, or a way to make a
// long one, {"$repeat": TEXT, "n": TIMES} or {"$gz_b64": BASE64}. It is nil
// where the case has none.
type Text []byte

// UnmarshalJSON reads any of the three forms.
func (text *Text) UnmarshalJSON(b []byte) error {
	switch b[0] {
	case 'n': // null
		return nil
	case '"':
		var s string
		err := json.Unmarshal(b, &s)
		*text = Text(s)
		return err
	}
	var long struct {
		Gzipped gzipped `json:"$gz_b64"`
		Repeat  string  `json:"$repeat"`
		N       int
	}
	if err := json.Unmarshal(b, &long); err != nil {
		return err
	}
	switch {
	case long.Repeat != "":
		*text = bytes.Repeat([]byte(long.Repeat), long.N)
	case long.Gzipped != nil:
		*text = Text(long.Gzipped)
	default:
		return fmt.Errorf("text: %.80s: neither a string nor $repeat nor $gz_b64", b)
	}
	return nil
}

// A gzipped is what a JSON string of base64 of gzip stands for.
type gzipped []byte

func (z *gzipped) UnmarshalJSON(b []byte) error {
	var packed []byte
	if err := json.Unmarshal(b, &packed); err != nil || packed == nil {
		return err
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return err
	}
	*z, err = io.ReadAll(r)
	return err
}

// BadInputClock is the clock under which the hostile input was made. It stands.
func BadInputClock() time.Time { return time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC) }

// A ZMQCase is hostile input of a ZeroMQ edge, and what must become of it.
type ZMQCase struct {
	Name  string
	Edge  string // "zmq", or another edge that is given the same
	Input ZMQInput
	Must  struct {
		Outcome     string // "accept", "reject", "drop", "close", "either"
		Reason      fedmsg.Reason
		Field       string
		After       string // what must have been said before
		StoredTopic string `json:"stored_topic"`
		Times       int    `json:"send_times"`
		MaxLoads    uint64 `json:"max_ca_crl_loads"`
		MaxMs       int    `json:"max_ms"`
		WithinS     int    `json:"within_s"`
		RSSGrowth   int    `json:"max_rss_growth_mb"` // MiB
		LogNot      string `json:"log_must_not_contain"`
	}
}

// ZMQCases reads all cases; see [BadInputDir].
func ZMQCases(t testing.TB) []ZMQCase {
	t.Helper()
	return Rows[ZMQCase](t, filepath.Join(BadInputDir(t), "zmq.jsonl"))
}

// A ZMQInput is what a case sends, and to what bus.
type ZMQInput struct {
	Frames [][]byte // of one message, or nil
	TCP    []byte   // from the first byte of a connection, or nil
	Config ZMQConfig
	Times  int // 0 means once
}

// UnmarshalJSON reads an input; what its config does not say is as in
// [ZMQConfig].
func (in *ZMQInput) UnmarshalJSON(b []byte) error {
	read := struct {
		Frames    [][]byte  `json:"frames_b64"`
		FramesGz  []gzipped `json:"frames_gz_b64"`
		TCP       []byte    `json:"tcp_b64"`
		TCPGz     gzipped   `json:"tcp_gz_b64"`
		Config    ZMQConfig
		SendTimes int `json:"send_times"`
	}{Config: ZMQConfig{CA: "ca.crt", CRL: "crl.pem", Validate: true}}
	if err := json.Unmarshal(b, &read); err != nil {
		return err
	}
	for _, f := range read.FramesGz {
		read.Frames = append(read.Frames, f)
	}
	*in = ZMQInput{Frames: read.Frames, TCP: append(read.TCP, read.TCPGz...), Config: read.Config, Times: read.SendTimes}
	return nil
}

// A ZMQConfig is the configuration of the bus that a case is sent to. Two that
// are equal may share a bus.
type ZMQConfig struct {
	CA       string `json:"ca_cert_location"`    // a file in pki; ca.crt if not said
	CRL      string `json:"crl_location"`        // the same; crl.pem if not said
	Validate bool   `json:"validate_signatures"` // true if not said
	Nitpicky bool   `json:"routing_nitpicky"`
	Legacy   bool   `json:"legacy_sha1_certs"`
}

// Policy is who may publish what on that bus.
func (c ZMQConfig) Policy() fedmsg.Policy {
	return fedmsg.Policy{
		Routing:  map[fedmsg.Topic][]string{"org.fedoraproject.prod.bodhi.update.request.stable": {"bodhi-app01.example.com"}},
		Nitpicky: c.Nitpicky,
	}
}
