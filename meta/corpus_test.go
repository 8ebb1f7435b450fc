package meta_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/meta"
)

// deviations names what of a row's expected values is not met, and why: row ID,
// field, reason. Each row must stand in docs/deviations.md too.
var deviations = map[string]map[string]string{}

// Shares that must be met over all services; what the corpus expects of the exact
// fields must be met wholly.
const (
	minComputed  = 0.98
	minSentences = 0.97
)

var (
	exactFields = []string{
		"title", "link", "icon", "secondary_icon", "usernames", "packages", "objects", "agent", "emails", "avatars",
	}
	sentenceFields = []string{"subtitle", "long_form"}
)

// A corpusRow is a real message, and what it should mean to people.
type corpusRow struct {
	ID, Service, Topic string
	Msg                json.RawMessage
	Expected           map[string]json.RawMessage // to be met
	Computed           map[string]json.RawMessage // to be met mostly
	Config             map[string]string          // settings that it wants
	Now                time.Time                  // the clock that it wants, or zero
	Nondeterministic   []string                   // fields in which any of the usernames is right
	ComputedErrors     map[string]string          `json:"computed_errors"`
	UnstableFields     map[string]string          `json:"unstable_fields"`
	UnstableExpected   map[string]json.RawMessage `json:"unstable_expected"` // right under Now
	WireDiffers        []string                   `json:"wire_differs"`      // fields whose computed values are wrong
}

// want returns what the row says of a field, and whether it must be met or just
// mostly: "expected" or "computed". It is "skipped" where the row itself says that
// the value cannot be relied on, and "" where there is none.
func (r *corpusRow) want(field string) (value any, tier string) {
	if _, unstable := r.UnstableFields[field]; unstable {
		if raw := r.UnstableExpected[field]; raw != nil && !r.Now.IsZero() {
			return decodeAny(raw), "expected"
		}
		return nil, "skipped"
	}
	if raw, ok := r.Expected[field]; ok {
		return decodeAny(raw), "expected"
	}
	if _, failed := r.ComputedErrors[field]; failed || slices.Contains(r.WireDiffers, field) {
		return nil, "skipped"
	}
	if raw, ok := r.Computed[field]; ok {
		return decodeAny(raw), "computed"
	}
	return nil, ""
}

// list returns the elements of a set that the row wants.
func (r *corpusRow) list(field string) []string {
	value, _ := r.want(field)
	var texts []string
	items, _ := value.([]any)
	for _, item := range items {
		texts = append(texts, plain(item))
	}
	return texts
}

func (r *corpusRow) message(t testing.TB) *fedmsg.Message {
	t.Helper()
	m, err := fedmsg.DecodeHistory(r.Msg)
	if err != nil {
		t.Fatalf("%s: %v", r.ID, err)
	}
	return m
}

// decodeAny decodes JSON; numbers keep their spelling.
func decodeAny(raw json.RawMessage) any {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil
	}
	return v
}

// plain spells a field's value so that equal ones become equal texts. What is
// empty, of whatever type, becomes "".
func plain(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case json.Number:
		return v.String()
	case []any:
		var texts []string
		for _, item := range v {
			texts = append(texts, plain(item))
		}
		return plain(texts)
	case []int:
		return plain(decodeAny(json.RawMessage(compactJSON(v))))
	case []string:
		if len(v) == 0 {
			return ""
		}
		return compactJSON(slices.Sorted(slices.Values(v)))
	case map[string]any:
		texts := make(map[string]string)
		for name, item := range v {
			texts[name] = plain(item)
		}
		return plain(texts)
	case map[string]string:
		if len(v) == 0 {
			return ""
		}
		return compactJSON(v)
	}
	return fmt.Sprint(v)
}

func compactJSON(v any) string {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err.Error()
	}
	return strings.TrimSuffix(text.String(), "\n")
}

// wordsField returns a field by the name that data files have for it.
func wordsField(w fedmsg.Words, field string) any {
	switch field {
	case "title":
		return w.Title
	case "subtitle":
		return w.Subtitle
	case "long_form":
		return w.LongForm
	case "link":
		return w.Link
	case "icon":
		return w.Icon
	case "secondary_icon":
		return w.SecondaryIcon
	case "agent":
		return w.Agent
	case "usernames":
		return w.Usernames
	case "packages":
		return w.Packages
	case "objects":
		return w.Objects
	case "emails":
		return w.Emails
	case "avatars":
		return w.Avatars
	}
	return fmt.Errorf("no field %q", field)
}

// A corpus is the rows by service, the accounts that their answers assume, and
// the engines that have been made for them.
type corpus struct {
	services map[string][]corpusRow
	accounts map[string]string
	engines  map[string]*meta.Engine
	tally    map[tallyKey]*tallyCell
	misses   map[string][]string // by tier, those that a share of is allowed
}

type tallyKey struct{ service, field, tier string }

type tallyCell struct{ met, all, skipped int }

func readCorpus(t *testing.T) *corpus {
	t.Helper()
	dir := fedmsgtest.CorpusDir(t)
	c := &corpus{
		services: make(map[string][]corpusRow),
		engines:  make(map[string]*meta.Engine),
		tally:    make(map[tallyKey]*tallyCell),
		misses:   make(map[string][]string),
	}
	for _, row := range fedmsgtest.Rows[corpusRow](t, filepath.Join(dir, "corpus.jsonl")) {
		c.services[row.Service] = append(c.services[row.Service], row)
	}
	text, err := os.ReadFile(filepath.Join(dir, "fixtures.json"))
	if err != nil {
		t.Fatal(err)
	}
	var fixtures struct {
		Accounts map[string]string `json:"fas_lookup"`
	}
	if err := json.Unmarshal(text, &fixtures); err != nil {
		t.Fatalf("fixtures.json: %v", err)
	}
	c.accounts = fixtures.Accounts
	return c
}

// accountsOf looks a nick or mail address up as the answers of the corpus assume.
func accountsOf(known map[string]string) func(string) string {
	return func(nick string) string {
		if name, ours := strings.CutSuffix(nick, "@fedoraproject.org"); ours {
			return name
		}
		if name, ok := known[nick]; ok {
			return name
		}
		return nick
	}
}

// narrow reports whether some subtests only were asked for, -run TestCorpus/bodhi:
// somebody works on a service's rules. Then each miss fails, so that it is seen.
func narrow() bool {
	return strings.Contains(flag.Lookup("test.run").Value.String(), "/")
}

// engine returns the engine for a row.
func (c *corpus) engine(t *testing.T, row *corpusRow) *meta.Engine {
	t.Helper()
	key := fmt.Sprint(row.Config, row.Now)
	if c.engines[key] == nil {
		cfg := meta.Config{Accounts: accountsOf(c.accounts), Settings: row.Config}
		if !row.Now.IsZero() {
			cfg.Now = func() time.Time { return row.Now }
		}
		c.engines[key] = newEngine(t, cfg)
	}
	return c.engines[key]
}

func newEngine(t testing.TB, cfg meta.Config) *meta.Engine {
	t.Helper()
	engine, err := meta.New(cfg, nil)
	if err != nil {
		t.Fatalf("meta.New: %v", err)
	}
	return engine
}

func (c *corpus) count(row *corpusRow, field, tier string) *tallyCell {
	key := tallyKey{row.Service, field, tier}
	if c.tally[key] == nil {
		c.tally[key] = new(tallyCell)
	}
	return c.tally[key]
}

// Real messages of Fedora's bus, of many years: what they mean to people. Links,
// pictures, names and objects are facts and must be exactly so; sentences are our
// own and must carry the same facts.
func TestCorpus(t *testing.T) {
	c := readCorpus(t)
	for _, service := range slices.Sorted(maps.Keys(c.services)) {
		t.Run(service, func(t *testing.T) {
			for _, row := range c.services[service] {
				c.checkRow(t, &row)
			}
		})
	}
	t.Run("shares", c.checkShares)
}

func (c *corpus) checkRow(t *testing.T, row *corpusRow) {
	engine := c.engine(t, row)
	words := engine.Describe(context.Background(), row.message(t))
	for _, wrong := range unfit(words) {
		t.Errorf("%s %s: %s", row.ID, row.Topic, wrong)
	}
	for _, field := range exactFields {
		want, tier := row.want(field)
		got := plain(wordsField(words, field))
		met := got == plain(want) ||
			slices.Contains(row.Nondeterministic, field) && slices.Contains(row.list("usernames"), got)
		c.judge(t, row, field, tier, met, "got %q, want %q", got, plain(want))
	}
	values := messageValues(row.Msg)
	for _, field := range sentenceFields {
		want, tier := row.want(field)
		if tier == "expected" || tier == "computed" {
			tier = "sentences"
		}
		got := plain(wordsField(words, field))
		misses := sentenceMisses(values, plain(want), got)
		if !row.Now.IsZero() {
			misses = append(misses, missingCounts(plain(want), got)...)
		}
		c.judge(t, row, field, tier, len(misses) == 0, "%s\n\tgot  %q\n\twant %q", strings.Join(misses, "; "), got, plain(want))
	}
}

// judge counts whether a field's value is met, and tells if it is not: at once, or
// together with the shares.
func (c *corpus) judge(t *testing.T, row *corpusRow, field, tier string, met bool, format string, args ...any) {
	t.Helper()
	if tier == "" {
		return
	}
	cell := c.count(row, field, tier)
	why, deviates := deviations[row.ID][field]
	switch {
	case tier == "skipped":
		cell.skipped++
		return
	case deviates && met:
		t.Errorf("%s %s: %s: is as the corpus has it; so it is no deviation (%s)", row.ID, row.Topic, field, why)
		return
	case deviates:
		cell.skipped++
		return
	}
	cell.all++
	if met {
		cell.met++
		return
	}
	miss := fmt.Sprintf("%s %s: %s (%s): "+format, append([]any{row.ID, row.Topic, field, tier}, args...)...)
	if tier == "expected" || narrow() {
		t.Error(miss)
	} else {
		c.misses[tier] = append(c.misses[tier], miss)
	}
}

func (c *corpus) checkShares(t *testing.T) {
	if narrow() {
		t.Skip("the shares are those of all services: run TestCorpus")
	}
	for _, tier := range []struct {
		name string
		min  float64
	}{{"expected", 0}, {"computed", minComputed}, {"sentences", minSentences}} {
		fields := make(map[string]*tallyCell)
		var all tallyCell
		for key, cell := range c.tally {
			if key.tier != tier.name {
				continue
			}
			if fields[key.field] == nil {
				fields[key.field] = new(tallyCell)
			}
			fields[key.field].add(cell)
			all.add(cell)
		}
		t.Logf("%s: %s", tier.name, &all)
		for _, field := range slices.Sorted(maps.Keys(fields)) {
			t.Logf("    %s: %s", field, fields[field])
			if cell := fields[field]; tier.name == "sentences" && cell.share() < tier.min {
				t.Errorf("%s: %s carry the facts of the corpus, want %g", field, cell, tier.min)
			}
		}
		for _, miss := range c.misses[tier.name] {
			t.Log(miss)
		}
		if all.all == 0 || all.share() < tier.min {
			t.Errorf("%s: %s are met, want %g", tier.name, &all, tier.min)
		}
	}
	t.Logf("by service, expected and computed together:\n%s", c.table())
	for id := range deviations {
		found := false
		for _, rows := range c.services {
			found = found || slices.ContainsFunc(rows, func(r corpusRow) bool { return r.ID == id })
		}
		if !found {
			t.Errorf("deviations names %s, which is no row of the corpus", id)
		}
	}
}

func (c *tallyCell) add(other *tallyCell) {
	c.met, c.all, c.skipped = c.met+other.met, c.all+other.all, c.skipped+other.skipped
}

func (c *tallyCell) share() float64 {
	if c.all == 0 {
		return 1
	}
	return float64(c.met) / float64(c.all)
}

func (c *tallyCell) String() string {
	text := fmt.Sprintf("%d of %d, %.2f %%", c.met, c.all, 100*c.share())
	if c.skipped > 0 {
		text += fmt.Sprintf(", %d skipped", c.skipped)
	}
	return text
}

// table has a line for each service and a column for each field.
func (c *corpus) table() string {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	columns := slices.Concat(exactFields, sentenceFields)
	fmt.Fprintf(w, "service\t%s\n", strings.Join(columns, "\t"))
	for _, service := range slices.Sorted(maps.Keys(c.services)) {
		fmt.Fprint(w, service)
		for _, field := range columns {
			var sum tallyCell
			for _, tier := range []string{"expected", "computed", "sentences"} {
				if cell := c.tally[tallyKey{service, field, tier}]; cell != nil {
					sum.add(cell)
				}
			}
			fmt.Fprintf(w, "\t%d/%d", sum.met, sum.all)
		}
		fmt.Fprintln(w)
	}
	w.Flush()
	return text.String()
}

// What is named a deviation must be told to those who port to us.
func TestDeviationsDocumented(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "docs", "deviations.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range slices.Sorted(maps.Keys(deviations)) {
		if !bytes.Contains(text, []byte("`"+id+"`")) {
			t.Errorf("docs/deviations.md does not name `%s`", id)
		}
	}
}
