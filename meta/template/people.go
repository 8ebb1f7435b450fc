package template

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"net/mail"
	"strings"
)

// avatarBase, with the hash of a person between, is where pictures of people are.
const (
	avatarBase  = "https://seccdn.libravatar.org/avatar/"
	avatarQuery = "?s=64&d=retro"
)

// ownPictures are accounts of programs that have a picture of their own.
var ownPictures = map[string]string{
	"bodhi":     "https://apps.fedoraproject.org/img/icons/bodhi-64.png",
	"koschei":   "https://apps.fedoraproject.org/img/icons/koschei-64.png",
	"taskotron": "https://apps.fedoraproject.org/img/icons/taskotron-64.png",
}

var peopleHelpers = map[string]helper{
	"avatar": {group: peopleGroup, usage: "avatar USER - the address of an account's picture", min: 1, max: 1, f: func(s *scope, a []Value) Value {
		return NewText(Avatar(a[0].String(), s.World.Realm))
	}},
	"avatarEmail": {group: peopleGroup, usage: "avatarEmail MAIL - the address of the picture of who has a mail address", min: 1, max: 1, f: func(_ *scope, a []Value) Value {
		sum := md5.Sum([]byte(a[0].String()))
		return NewText(avatarBase + hex.EncodeToString(sum[:]) + avatarQuery)
	}},
	"account": {group: peopleGroup, usage: "account NICK - the account of a nick or a mail address, if one is known; else NICK", min: 1, max: 1, f: func(s *scope, a []Value) Value {
		return NewText(s.World.account(a[0].String()))
	}},
	"isAccount": {group: peopleGroup, usage: "isAccount X - whether X can be an account: it has no @", min: 1, max: 1, f: func(_ *scope, a []Value) Value {
		return truth(!a[0].IsBlank() && !strings.Contains(a[0].String(), "@"))
	}},
	"mailAddress": {group: peopleGroup, usage: `mailAddress S - the address in "Alice <alice@example.org>"`, min: 1, max: 1, f: func(_ *scope, a []Value) Value {
		_, address := splitAddress(a[0].String())
		return NewText(address)
	}},
	"mailName": {group: peopleGroup, usage: `mailName S - the name in "Alice <alice@example.org>"`, min: 1, max: 1, f: func(_ *scope, a []Value) Value {
		name, _ := splitAddress(a[0].String())
		return NewText(name)
	}},
	"nvr": {group: peopleGroup, usage: "nvr S - the package's name in name-version-release; missing if it is none", min: 1, max: 1, f: func(_ *scope, a []Value) Value {
		if name, ok := PackageName(a[0].String()); ok {
			return NewText(name)
		}
		return none
	}},
	"nvrs": {group: peopleGroup, usage: "nvrs S - the names of the packages in a list, or in a text between blanks and commas", min: 1, max: 1, f: func(s *scope, a []Value) Value {
		builds := a[0]
		if builds.kind == Text {
			builds = s.pieces(splitAny(a[0].text, " ,\n\t"))
		}
		return s.filter(builds, func(v Value) (Value, bool) {
			name, ok := PackageName(v.String())
			return NewText(name), ok
		})
	}},
}

// Avatar returns the address of an account's picture: libravatar knows people by
// the hash of their OpenID URL.
func Avatar(user, realm string) string {
	if own, ok := ownPictures[user]; ok {
		return own
	}
	if realm == "" {
		realm = "fedoraproject.org"
	}
	sum := sha256.Sum256([]byte("http://" + user + ".id." + realm + "/"))
	return avatarBase + hex.EncodeToString(sum[:]) + avatarQuery
}

// PackageName cuts version and release off a build's name.
func PackageName(nvr string) (string, bool) {
	rest := nvr
	for range 2 {
		at := strings.LastIndexByte(rest, '-')
		if at <= 0 {
			return "", false
		}
		rest = rest[:at]
	}
	return rest, true
}

// splitAddress reads what stands in a From header, also one that is not quite right.
func splitAddress(s string) (name, address string) {
	if a, err := mail.ParseAddress(s); err == nil {
		return a.Name, a.Address
	}
	name, rest, ok := strings.Cut(s, "<")
	if !ok {
		return "", strings.TrimSpace(s)
	}
	address, _, _ = strings.Cut(rest, ">")
	return strings.Trim(name, ` "`), strings.TrimSpace(address)
}

// account finds who a nick or a mail address belongs to.
func (w *World) account(nick string) string {
	if w.Realm != "" {
		if name, ok := strings.CutSuffix(nick, "@"+w.Realm); ok {
			return name
		}
	}
	if w.Account == nil {
		return nick
	}
	return w.Account(nick)
}
