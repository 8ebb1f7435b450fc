package x509

import (
	"bytes"
	"encoding/json"
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
	members, err := fedmsg.DecodeObject(canonical)
	if err != nil {
		return nil, err
	}
	out := []byte{'{'}
	for _, member := range members {
		switch member.Name {
		case "source_name", "source_version":
			continue
		case "headers":
			if text := string(member.JSON); text == "{}" || text == "null" {
				continue
			}
		case "timestamp":
			if f, err := strconv.ParseFloat(string(member.JSON), 64); err == nil && bytes.ContainsAny(member.JSON, ".eE") {
				member.JSON = strconv.AppendInt(nil, int64(f), 10)
			}
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		name, err := json.Marshal(member.Name)
		if err != nil {
			return nil, err
		}
		out = append(append(append(out, name...), ':'), member.JSON...)
	}
	return fedmsg.DecodeHistory(append(out, '}'))
}
