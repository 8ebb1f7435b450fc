package fedmsg_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

func TestRefusal(t *testing.T) {
	tests := []struct {
		err    error
		text   string
		reason fedmsg.Reason
		kind   error
	}{
		{fedmsg.Refuse(fedmsg.BadTopic, "topic %q", "a..b"), `bad_topic: topic "a..b"`, fedmsg.BadTopic, fedmsg.ErrInvalid},
		{fedmsg.RefuseField(fedmsg.BadField, "i", "must be %s", "whole"), "bad_field: i: must be whole", fedmsg.BadField, fedmsg.ErrInvalid},
		{&fedmsg.Refusal{Reason: fedmsg.Unsigned}, "unsigned", fedmsg.Unsigned, fedmsg.ErrUnsigned},
		{&fedmsg.Refusal{Reason: fedmsg.BadField, Field: "i"}, "bad_field: i", fedmsg.BadField, fedmsg.ErrInvalid},
		{fedmsg.Refuse(fedmsg.CertRevoked, "serial 7"), "cert_revoked: serial 7", fedmsg.CertRevoked, fedmsg.ErrBadSignature},
		{fedmsg.Refuse(fedmsg.NotAuthorized, "no"), "not_authorized: no", fedmsg.NotAuthorized, fedmsg.ErrNotAllowed},
		{fedmsg.Refuse(fedmsg.MsgIDConflict, "no"), "msg_id_conflict: no", fedmsg.MsgIDConflict, fedmsg.ErrConflict},
		{fedmsg.Refuse(fedmsg.StorageFull, "no"), "storage_full: no", fedmsg.StorageFull, fedmsg.ErrUnavailable},
	}
	for _, tt := range tests {
		err := fmt.Errorf("gate: %w", tt.err)
		if tt.err.Error() != tt.text || fedmsg.ReasonOf(err) != tt.reason || !errors.Is(err, tt.kind) {
			t.Errorf("refusal %q, reason %s, want %q, %s, %v", tt.err, fedmsg.ReasonOf(err), tt.text, tt.reason, tt.kind)
		}
	}
	if got := fedmsg.ReasonOf(errors.New("disk on fire")); got != "" {
		t.Errorf("ReasonOf(an ordinary error) = %q", got)
	}
	if got := fedmsg.ReasonOf(nil); got != "" {
		t.Errorf("ReasonOf(nil) = %q", got)
	}
}

func TestHint(t *testing.T) {
	cause := errors.New("connection refused")
	err := fmt.Errorf("publish: %w", &fedmsg.HintError{Err: cause, Hint: "start one with: fedmsg serve"})
	if err.Error() != "publish: connection refused" || fedmsg.Hint(err) != "start one with: fedmsg serve" || !errors.Is(err, cause) {
		t.Errorf("error %q with hint %q", err, fedmsg.Hint(err))
	}
	if got := fedmsg.Hint(cause); got != "" {
		t.Errorf("Hint(an ordinary error) = %q", got)
	}
}

func TestOrigin(t *testing.T) {
	if got := fedmsg.OriginFrom(t.Context()); got != (fedmsg.Origin{Edge: "memory"}) {
		t.Errorf("OriginFrom(an empty context) = %+v", got)
	}
	want := fedmsg.Origin{Edge: "http", Addr: netip.MustParseAddr("192.0.2.1"), Identity: "token:ci"}
	ctx, cancel := context.WithCancel(fedmsg.WithOrigin(t.Context(), want))
	defer cancel()
	if got := fedmsg.OriginFrom(ctx); got != want {
		t.Errorf("OriginFrom = %+v, want %+v", got, want)
	}
}

// Bodies, signatures and names of people stay out of every log, however
// somebody logs a message.
func TestLogsHoldNoBody(t *testing.T) {
	m, err := fedmsg.Decode([]byte(strings.Replace(edit("msg", `{"address":"secret"}`), "2026-1", "the-id", 1)))
	if err != nil {
		t.Fatal(err)
	}
	entry := fedmsg.Entry{Seq: 7, Message: m}
	for name, value := range map[string]any{"entry": entry, "message": m} {
		var out bytes.Buffer
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", name, value)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("x", name, value)
		if text := out.String(); strings.Contains(text, "secret") || strings.Contains(text, "ralph") || strings.Count(text, m.ID) != 2 {
			t.Errorf("log of %s: %s", name, text)
		}
	}
}

func TestEach(t *testing.T) {
	end := errors.New("end")
	batches := iter.Seq2[[]fedmsg.Entry, error](func(yield func([]fedmsg.Entry, error) bool) {
		_ = yield([]fedmsg.Entry{{Seq: 1}, {Seq: 2}}, nil) && yield([]fedmsg.Entry{{Seq: 3}}, nil) && yield(nil, end)
	})
	var got []fedmsg.Seq
	var last error
	for e, err := range fedmsg.Each(batches) {
		if err != nil {
			last = err
			continue
		}
		got = append(got, e.Seq)
	}
	if fmt.Sprint(got) != "[1 2 3]" || last != end {
		t.Errorf("Each yields %v, %v, want [1 2 3], end", got, last)
	}
	for e := range fedmsg.Each(batches) {
		if e.Seq == 2 {
			break
		}
	}
}
