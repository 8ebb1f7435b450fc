package classic

import (
	"context"
	"errors"
	"iter"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
)

// A paper is written to and read by several.
type paper struct {
	mu   sync.Mutex
	text strings.Builder
}

func (p *paper) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

func (p *paper) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

var atTime = regexp.MustCompile(` \d+:`)

// The lines are those of the original: nothing yet, then what came, then nothing again.
func TestVectorsCollectd(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(fedmsgtest.VectorDir(t), "cli_capture", "collectd.txt"))
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "PUTVAL ") && len(want) < 9 {
			want = append(want, atTime.ReplaceAllString(line, " T:"))
		}
	}
	topics := []fedmsg.Topic{"org.fedoraproject.dev.announce.announcement", "org.fedoraproject.dev.git.receive", "org.fedoraproject.dev"}
	topics = append(topics, "org.fedoraproject.dev.announce.announcement")
	for range 5 {
		topics = append(topics, "org.fedoraproject.dev.logger.log")
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		var out paper
		err := newTally("vm", 3, []string{"Logger", "announce"}).run(ctx, Env{Stdout: &out}, &Bus{Tail: func(ctx context.Context, _ func(string)) iter.Seq2[fedmsg.Entry, error] {
			return func(yield func(fedmsg.Entry, error) bool) {
				time.Sleep(4 * time.Second)
				for i, topic := range topics {
					if !yield(fedmsg.Entry{Message: fedmsgtest.MessageOf(i, topic, "{}")}, nil) {
						return
					}
				}
				<-ctx.Done()
			}
		}})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("run = %v, want the end of its time", err)
		}
		if got := atTime.ReplaceAllString(out.String(), " T:"); got != strings.Join(want, "") {
			t.Errorf("it told\n%s, want\n%s", got, strings.Join(want, ""))
		}
	})
}

// A bus that cannot be read ends it, with the reason.
func TestCollectdEnds(t *testing.T) {
	broken := errors.New("broken")
	err := newTally("vm", 3, nil).run(t.Context(), Env{Stdout: new(paper)}, &Bus{Tail: func(context.Context, func(string)) iter.Seq2[fedmsg.Entry, error] {
		return func(yield func(fedmsg.Entry, error) bool) { yield(fedmsg.Entry{}, broken) }
	}})
	if !errors.Is(err, broken) {
		t.Errorf("run = %v, want %v", err, broken)
	}
}
