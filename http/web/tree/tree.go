// Package tree reads the body of a message as far as a page can show it, with a search
// for each value.
package tree

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/http/web/say"
)

// What a tree shows at most. What is beyond is in the raw message.
const (
	maxNodes = 400
	maxDepth = 24
	maxChars = 24 << 10
	// maxText is of one text.
	maxText = 4 << 10
	// maxTerm is the longest value that is offered to search for, in bytes.
	maxTerm = 200
)

// A Node is a value in a body.
type Node struct {
	Key  string
	Path string // as it is searched for: without places in lists
	Kind string // object, list, text, number, word (true, false, null), more
	Text string
	Term string // a search for this value; "" if there is none
	Kids []*Node
}

// Read reads a body, as far as a page can show it. It returns nil for what is no
// JSON as everybody reads it.
func Read(body []byte) (top *Node, cut bool) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	t := treeReader{dec: d}
	top = &Node{}
	if err := t.value(top, nil, 0); err != nil {
		return nil, true
	}
	return top, t.cut
}

type treeReader struct {
	dec          *json.Decoder
	nodes, chars int
	cut          bool
	lost         int // how many names above cannot be asked for
}

func (t *treeReader) full() bool { return t.nodes >= maxNodes || t.chars >= maxChars }

// value reads the next value into n. path is where it stands.
func (t *treeReader) value(n *Node, path []string, depth int) error {
	if t.full() || depth > maxDepth {
		var rest json.RawMessage
		t.cut = true
		n.Kind, n.Text = "more", "…"
		return t.dec.Decode(&rest)
	}
	t.nodes++
	if t.lost == 0 {
		n.Path = strings.Join(path, ".")
	}
	token, err := t.dec.Token()
	if err != nil {
		return err
	}
	switch v := token.(type) {
	case json.Delim:
		if v == '{' {
			return t.object(n, path, depth)
		}
		return t.list(n, path, depth)
	case string:
		n.Kind, n.Text = "text", v
	case json.Number:
		n.Kind, n.Text = "number", v.String()
	case nil:
		n.Kind, n.Text = "word", "null"
	default:
		n.Kind, n.Text = "word", fmt.Sprint(v)
	}
	if len(n.Text) <= maxTerm && n.Text != "" && n.Path != "" && token != nil {
		n.Term = say.Term(fedmsg.Test{Field: fedmsg.BodyField, Path: n.Path, Value: n.Text})
	}
	if len(n.Text) > maxText {
		n.Text, t.cut = strings.ToValidUTF8(n.Text[:maxText], "")+"…", true
	}
	t.chars += len(n.Text) + len(n.Path)
	n.Text = say.Visible(n.Text)
	return nil
}

func (t *treeReader) object(n *Node, path []string, depth int) error {
	n.Kind = "object"
	for t.dec.More() {
		token, err := t.dec.Token()
		if err != nil {
			return err
		}
		key, _ := token.(string) // names are nothing else
		kid := &Node{Key: say.Visible(key)}
		if len(key) > maxTerm {
			kid.Key, t.cut = say.Visible(strings.ToValidUTF8(key[:maxTerm], ""))+"…", true
		}
		below := append(path[:len(path):len(path)], key)
		nameless := key == "" || len(key) > maxTerm
		if nameless {
			t.lost++
		}
		if err := t.value(kid, below, depth+1); err != nil {
			return err
		}
		if nameless {
			t.lost--
		}
		n.add(kid)
	}
	_, err := t.dec.Token()
	return err
}

func (t *treeReader) list(n *Node, path []string, depth int) error {
	n.Kind = "list"
	for t.dec.More() {
		kid := &Node{}
		if err := t.value(kid, path, depth+1); err != nil {
			return err
		}
		n.add(kid)
	}
	_, err := t.dec.Token()
	return err
}

// add adds a value; of those that are left out there is one for all.
func (n *Node) add(kid *Node) {
	if last := len(n.Kids) - 1; kid.Kind == "more" && last >= 0 && n.Kids[last].Kind == "more" {
		return
	}
	if kid.Kind == "more" {
		kid.Key = ""
	}
	n.Kids = append(n.Kids, kid)
}
