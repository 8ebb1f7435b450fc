package fedmsg_test

import (
	"encoding/json"
	"path/filepath"
	"testing"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
)

// Real messages of Fedora's bus, of many years: the strict reading costs none of
// them but those whose collectors left out a field, mostly msg_id.
func TestCorpusDecode(t *testing.T) {
	var all, refused int
	for _, row := range fedmsgtest.Rows[struct {
		ID  string
		Msg json.RawMessage
	}](t, filepath.Join(fedmsgtest.CorpusDir(t), "corpus.jsonl")) {
		all++
		history, err := fedmsg.DecodeHistory(row.Msg)
		if err != nil {
			t.Errorf("%s: DecodeHistory: %v", row.ID, err)
			continue
		}
		if err := history.Topic.Validate(); err != nil {
			t.Errorf("%s: %v", row.ID, err)
		}
		m, err := fedmsg.Decode(row.Msg)
		switch fedmsg.ReasonOf(err) {
		case "":
			checkMessage(t, row.Msg, m)
		case fedmsg.MissingField:
			refused++
		default:
			t.Errorf("%s: Decode: %v", row.ID, err)
		}
	}
	if all < 100 || refused > all/2 {
		t.Errorf("%d messages, %d of them without a field", all, refused)
	}
	t.Logf("%d messages, %d of them without a field", all, refused)
}
