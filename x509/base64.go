package x509

import (
	"encoding/base64"
	"errors"
	"strings"
)

// lineLength is where fedmsg breaks base64 text, in characters.
const lineLength = 76

// EncodeBase64 dresses bytes as fedmsg's signer does: base64, broken every 76
// characters, with a final newline. Nothing becomes one newline.
func EncodeBase64(b []byte) string {
	text := base64.StdEncoding.EncodeToString(b)
	var out strings.Builder
	for len(text) > lineLength {
		out.WriteString(text[:lineLength] + "\n")
		text = text[lineLength:]
	}
	out.WriteString(text + "\n")
	return out.String()
}

var errBase64 = errors.New("not base64")

// DecodeBase64 reads base64 as Python's binascii does: characters outside of the
// alphabet are skipped, padding counts only behind two or more characters of a
// group, and what follows a complete padding is ignored. A character outside of
// ASCII, or a group without end, is an error.
func DecodeBase64(text string) ([]byte, error) {
	out := make([]byte, 0, len(text)*3/4)
	var group uint32
	have, pad := 0, 0
	for i := range len(text) {
		c := text[i]
		var v byte
		switch {
		case c >= 0x80:
			return nil, errBase64
		case c == '=':
			if have >= 2 {
				if pad++; have+pad == 4 {
					return append(out, lastGroup(group, have)...), nil
				}
			}
			continue
		case 'A' <= c && c <= 'Z':
			v = c - 'A'
		case 'a' <= c && c <= 'z':
			v = c - 'a' + 26
		case '0' <= c && c <= '9':
			v = c - '0' + 52
		case c == '+':
			v = 62
		case c == '/':
			v = 63
		default:
			continue
		}
		pad = 0
		group = group<<6 | uint32(v)
		if have++; have == 4 {
			out = append(out, byte(group>>16), byte(group>>8), byte(group))
			group, have = 0, 0
		}
	}
	if have != 0 {
		return nil, errBase64
	}
	return out, nil
}

// lastGroup returns the one or two bytes of a group of two or three characters.
func lastGroup(group uint32, have int) []byte {
	if have == 2 {
		return []byte{byte(group >> 4)}
	}
	return []byte{byte(group >> 10), byte(group >> 2)}
}

// decodeStrict reads base64 that has one spelling only, but for line breaks: else
// anybody could make other texts of a good signature.
func decodeStrict(text string) ([]byte, error) {
	return base64.StdEncoding.Strict().DecodeString(text)
}
