package fedmsg_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// Real messages of Fedora's bus, of many years: the strict reading costs none of
// them but those whose collectors left out a field, mostly msg_id.
func TestCorpusDecode(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(cmp.Or(os.Getenv("FEDMSG_CORPUS"), "../shared/corpus"), "corpus.jsonl"))
	if err != nil {
		t.Skipf("no corpus: set FEDMSG_CORPUS to its folder: %v", err)
	}
	var all, refused int
	for line := range bytes.Lines(text) {
		var row struct {
			ID  string
			Msg json.RawMessage
		}
		if err := json.Unmarshal(line, &row); err != nil {
			t.Fatal(err)
		}
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
