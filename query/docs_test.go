package query_test

import (
	"errors"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/fedora-infra/fedmsg-go/query"
)

// The table of docs/query.md has the keys, in their order, with their other names;
// its examples, and those of the keys themselves, are good lines.
func TestDocs(t *testing.T) {
	text, err := os.ReadFile("../docs/query.md")
	if err != nil {
		t.Fatal(err)
	}
	section := func(title string) string {
		_, rest, _ := strings.Cut(string(text), "\n## "+title+"\n")
		rest, _, _ = strings.Cut(rest, "\n## ")
		return rest
	}
	rows := regexp.MustCompile("(?m)^\\| `([^`]+)` \\| (.*) \\|$")
	var names, want []string
	for _, m := range rows.FindAllStringSubmatch(section("Keys"), -1) {
		names = append(names, m[1])
		if also := regexp.MustCompile("Also `([^`]+)`").FindStringSubmatch(m[2]); also != nil {
			names = append(names, also[1])
		}
		example := regexp.MustCompile("`([^`]+)`$").FindStringSubmatch(m[2])
		parses(t, example[1])
	}
	for _, k := range query.Keys() {
		want = append(want, k.Name)
		if k.Alias != "" {
			want = append(want, k.Alias)
		}
		parses(t, k.Example)
		if k.About == "" {
			t.Errorf("the key %s says nothing of itself", k.Name)
		}
	}
	if !slices.Equal(names, want) {
		t.Errorf("docs/query.md has the keys\n%q, want\n%q", names, want)
	}
	for _, m := range rows.FindAllStringSubmatch(section("Times"), -1) {
		parses(t, "after:"+m[1])
	}
	examples := rows.FindAllStringSubmatch(section("Examples"), -1)
	if len(examples) == 0 {
		t.Error("docs/query.md has no examples")
	}
	for _, m := range examples {
		parses(t, m[1])
	}
	_, err = query.Parse("topic:a.b usr:ralph", now)
	e, _ := errors.AsType[*query.Error](err)
	if shown := e.Error() + "\n" + e.Show() + "\nhint: " + e.Hint + "\n"; !strings.Contains(section("When something is wrong"), shown) {
		t.Errorf("docs/query.md does not show\n%s", shown)
	}
	inURL := section("In a URL")
	for _, name := range query.Parameters() {
		if plain := strings.TrimPrefix(name, "not_"); !strings.Contains(inURL, "`"+plain) {
			t.Errorf("docs/query.md does not say what the parameter %s is", name)
		}
	}
}

func parses(t *testing.T, line string) {
	t.Helper()
	if _, err := query.Parse(line, now); err != nil {
		t.Errorf("%s: %v", line, err)
	}
}
