package watch

import (
	"context"
	"encoding/json"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/zmq"
)

func counted(received, refused, delivered, lag float64) samples {
	return samples{
		{Name: "messages_received_total", Labels: []string{"edge", "zmq"}, Value: received},
		{Name: "messages_rejected_total", Labels: []string{"edge", "zmq", "reason", "unsigned"}, Value: refused},
		{Name: "messages_delivered_total", Labels: []string{"edge", "zmq"}, Value: 99},
		{Name: "messages_delivered_total", Labels: []string{"edge", "sse"}, Value: delivered},
		{Name: "consumer_lag_messages", Labels: []string{"consumer", "archive"}, Value: lag},
		{Name: "consumer_delivered_total", Labels: []string{"consumer", "archive"}, Value: delivered},
		{Name: "consumer_failures_total", Labels: []string{"consumer", "archive"}, Value: 1},
	}
}

// Each report tells what was counted since the one before, with the keys and blanks of
// the original.
func TestReports(t *testing.T) {
	measured := counted(10, 2, 5, 3)
	at := time.UnixMilli(1795350252500)
	r := &Reporter{sources: []string{"zmq", "http"}, meter: &measured, now: func() time.Time { return at }}
	text := string(r.next())
	want := `{"consumers": [{"name": "archive", "module": "fedmsg", "topic": "*", "initialized": true, "exceptions": 1, "jsonify": true, "backlog": 3, "headcount_in": 8, "headcount_out": 5, "times": []}, ` +
		`{"name": "sse", "module": "fedmsg", "topic": "*", "initialized": true, "exceptions": 0, "jsonify": true, "backlog": 0, "headcount_in": 5, "headcount_out": 5, "times": []}], ` +
		`"producers": [{"name": "zmq", "module": "fedmsg", "initialized": true, "exceptions": 2, "headcount_out": 8}, ` +
		`{"name": "http", "module": "fedmsg", "initialized": true, "exceptions": 0, "headcount_out": 0}, ` +
		`{"name": "MonitoringProducer", "module": "fedmsg", "initialized": true, "exceptions": 0, "frequency": 5, "now": false, "last_ran": 1795350252.5}]}`
	if text != want {
		t.Errorf("the first report is\n%s, want\n%s", text, want)
	}
	measured = counted(11, 2, 9, 1)
	var second Report
	if err := json.Unmarshal(r.next(), &second); err != nil {
		t.Fatal(err)
	}
	if c := second.Consumers[0]; c.Backlog != 1 || c.HeadcountIn != 2 || c.HeadcountOut != 4 || c.Exceptions != 0 {
		t.Errorf("the second report has %+v", c)
	}
	if p := second.Producers[0]; *p.HeadcountOut != 1 || p.Exceptions != 0 {
		t.Errorf("the second report has %+v", p)
	}
	if all := Totals(&measured, []string{"zmq"}); all.Consumers[0].HeadcountOut != 9 || *all.Producers[0].HeadcountOut != 9 {
		t.Errorf("totals are %+v", all)
	}
}

func TestSpaced(t *testing.T) {
	const text = `{"a":"x,:\\\"y:","b":[1,2]}`
	if got := string(spaced([]byte(text))); got != `{"a": "x,:\\\"y:", "b": [1, 2]}` {
		t.Errorf("spaced(%s) = %s", text, got)
	}
}

func TestReporterRefuses(t *testing.T) {
	file := "ipc://" + filepath.Join(t.TempDir(), "s")
	for _, tt := range []struct{ addr, mode, want string }{
		{file, "rwx", "moksha.monitoring.socket.mode"}, {file, "99", "moksha.monitoring.socket.mode"}, {file, "77777", "moksha.monitoring.socket.mode"},
		{"ipc:///no/such/dir/x", "", "moksha.monitoring.socket"}, {"inproc://x", "", "only tcp and ipc"},
	} {
		if _, err := NewReporter(ReporterConfig{Addr: tt.addr, Mode: tt.mode}, fedmsg.Meters{}, nil); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("NewReporter(%s, %s) = %v, want %q", tt.addr, tt.mode, err, tt.want)
		}
	}
}

// The first report comes after five seconds, and then one every five.
func TestReporterSends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		measured := counted(0, 0, 0, 0)
		r := &Reporter{meter: &measured, now: time.Now}
		began := time.Now()
		var sent []time.Duration
		ctx, cancel := context.WithTimeout(t.Context(), 11*time.Second)
		defer cancel()
		r.every(ctx, func([]byte) { sent = append(sent, time.Since(began)) })
		if len(sent) != 2 || sent[0] != Interval || sent[1] != 2*Interval {
			t.Errorf("reports were sent after %v", sent)
		}
	})
}

// What is sent can be read over a file.
func TestReporterOnSocket(t *testing.T) {
	measured := counted(1, 0, 1, 0)
	r, err := NewReporter(ReporterConfig{Addr: "ipc://" + filepath.Join(t.TempDir(), "s"), Mode: "600"}, &measured, nil)
	if err != nil {
		t.Fatal(err)
	}
	fedmsgtest.Start(t, "reporter", r.Run)
	sub, err := zmq.NewSub(zmq.SubConfig{Connect: []string{r.Addr()}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	came := make(chan string, 1)
	fedmsgtest.Start(t, "sub", func(ctx context.Context) error {
		return sub.Run(ctx, func(_ netip.AddrPort, frames [][]byte) {
			select {
			case came <- string(frames[0]):
			default:
			}
		})
	})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := r.pub.WaitSubscribed(ctx); err != nil {
		t.Fatal(err)
	}
	r.pub.SendFrame(r.next())
	select {
	case text := <-came:
		if !strings.HasPrefix(text, `{"consumers": [`) {
			t.Errorf("came %s", text)
		}
	case <-ctx.Done():
		t.Fatal("no report came")
	}
}
