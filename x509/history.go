package x509

import (
	"bytes"
	"iter"
	"math"
	"strconv"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// StripCredentials returns the message without signature and certificate, in
// canonical form. It keeps the field crypto, as the original does.
func StripCredentials(m *fedmsg.Message) (*fedmsg.Message, error) {
	return fedmsg.DecodeHistory(m.AppendSigned(nil))
}

// FixDatagrepper undoes what datagrepper adds to a message, so that its
// signature can be verified: source_name and source_version, which must both be
// there, empty headers, and a timestamp made a float. A message without the two
// comes back as it is.
func FixDatagrepper(m *fedmsg.Message) (*fedmsg.Message, error) {
	if source := m.Fields("source_name", "source_version"); source[0] == nil || source[1] == nil {
		return m, nil
	}
	canonical, err := fedmsg.AppendCanonical(nil, m.Bytes())
	if err != nil {
		return nil, err
	}
	out := []byte{'{'}
	for name, value := range members(canonical) {
		switch string(name) {
		case `"source_name"`, `"source_version"`:
			continue
		case `"headers"`:
			if text := string(value); text == "{}" || text == "null" {
				continue
			}
		case `"timestamp"`:
			// Not for integers: they may have more digits than a float.
			if f, err := strconv.ParseFloat(string(value), 64); err == nil && bytes.ContainsAny(value, ".eIN") {
				value = strconv.AppendFloat(nil, math.Trunc(f), 'f', 0, 64)
			}
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(append(out, name...), ':'), value...)
	}
	return fedmsg.DecodeHistory(append(out, '}'))
}

// members yields the names, with their quotes, and the values of a JSON object
// in canonical form, as they are spelled: also NaN and half surrogate pairs, which
// fedmsg.DecodeObject refuses.
func members(object []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func([]byte, []byte) bool) {
		for rest := object[1:]; len(rest) > 1; {
			n := valueLength(rest)
			name := rest[:n]
			rest = rest[n+1:] // the colon
			n = valueLength(rest)
			if !yield(name, rest[:n]) {
				return
			}
			rest = bytes.TrimPrefix(rest[n:], []byte{','})
		}
	}
}

// valueLength returns where the value that text begins with ends.
func valueLength(text []byte) int {
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case depth == 0 && (c == ',' || c == ':' || c == '}'):
			return i
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		}
	}
	return len(text)
}
