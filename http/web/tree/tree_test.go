package tree_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/fedora-infra/fedmsg-go/http/web/tree"
)

func TestTreeIsBounded(t *testing.T) {
	for name, body := range map[string]string{
		"long text": `{"a":"` + strings.Repeat("x", 1<<20) + `"}`,
		"many":      `{"a":[` + strings.Repeat("1,", 300_000) + `1]}`,
		"deep":      `{"a":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`,
		"names":     `{"` + strings.Repeat("n", 1<<19) + `":{"x":1}}`,
		"wide":      "{" + strings.Repeat(`"k":{"k":"vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv"},`, 10_000) + `"z":1}`,
	} {
		top, cut := tree.Read([]byte(body))
		text, err := json.Marshal(top)
		if err != nil || top == nil || !cut || len(text) > 200<<10 {
			t.Errorf("%s: %d bytes of tree, cut %v, %v", name, len(text), cut, err)
		}
	}
	for _, body := range []string{``, `{`, `{"a":NaN}`, `{"a":1,}`} {
		if top, _ := tree.Read([]byte(body)); top != nil {
			t.Errorf("%q has a tree", body)
		}
	}
	if top, cut := tree.Read([]byte(`{}`)); top == nil || cut || top.Kind != "object" {
		t.Errorf("the empty object has the tree %+v", top)
	}
}
