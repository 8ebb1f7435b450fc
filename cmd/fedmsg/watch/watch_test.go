package watch

import (
	"iter"
	"slices"
	"testing"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

type samples []fedmsg.Sample

func (s *samples) Samples() iter.Seq[fedmsg.Sample] { return slices.Values(*s) }

func TestParts(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	began := now
	well := func(received, lag float64) samples {
		return samples{
			{Name: "messages_received_total", Labels: []string{"edge", "zmq"}, Value: received}, {Name: "messages_stored_total", Value: received},
			{Name: "log_last_sequence", Value: 7}, {Name: "log_bytes", Value: 4.2e6}, {Name: "log_free_bytes", Value: 3e9}, {Name: "log_state", Labels: []string{"state", "ok"}, Value: 1},
			{Name: "consumer_lag_messages", Labels: []string{"consumer", "archive"}, Value: lag}, {Name: "archive_up", Value: 1}, {Name: "archive_messages", Value: 1}, {Name: "archive_bytes", Value: 900},
			{Name: "cert_not_after_timestamp_seconds", Labels: []string{"name", "ca"}, Value: float64(now.Unix() + 86400*20)},
		}
	}
	measured := well(0, 0)
	w := New(&measured, func() time.Time { return now })
	for _, p := range w.Parts() {
		if p.State != "good" || !p.Since.Equal(began) || p.Rate != 0 {
			t.Errorf("%+v", p)
		}
	}
	find := func(name string) Part {
		for _, p := range w.Parts() {
			if p.Name == name {
				return p
			}
		}
		t.Fatalf("there is no part %s", name)
		return Part{}
	}
	now = now.Add(10 * time.Second)
	measured = well(50, 20000)
	if p := find("ZeroMQ in"); p.Rate != 5 || p.Figure != "50 messages" {
		t.Errorf("%+v, want 5 a second", p)
	}
	if p := find("archive"); p.State != "warn" || p.Word != "behind" || !p.Since.Equal(now) || p.Figure != "20000 behind, 1 message, 900 B" {
		t.Errorf("%+v", p)
	}
	for i, change := range []struct {
		sample fedmsg.Sample
		part   string
		want   string
	}{
		{fedmsg.Sample{Name: "log_state", Labels: []string{"state", "full"}, Value: 1}, "log", "bad the disk is full"},
		{fedmsg.Sample{Name: "log_state", Labels: []string{"state", "error"}, Value: 1}, "log", "bad takes no messages"},
		{fedmsg.Sample{Name: "archive_up", Value: -1}, "archive", "bad cannot be opened"},
		{fedmsg.Sample{Name: "consumer_gaps_total", Labels: []string{"consumer", "archive"}, Value: 1}, "archive", "warn missed some"},
		{fedmsg.Sample{Name: "log_free_bytes", Value: 1e6 - 3e9}, "disk", "warn nearly full"},
		{fedmsg.Sample{Name: "cert_not_after_timestamp_seconds", Labels: []string{"name", "ca"}, Value: -86400 * 15}, "certificate of the ca", "warn ends soon"},
		{fedmsg.Sample{Name: "cert_not_after_timestamp_seconds", Labels: []string{"name", "ca"}, Value: -86400 * 25}, "certificate of the ca", "bad has ended"},
	} {
		measured = append(well(50, 0), change.sample)
		if p := find(change.part); p.State+" "+p.Word != change.want {
			t.Errorf("%d: %+v, want %s", i, p, change.want)
		}
	}
}
