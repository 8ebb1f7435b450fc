package feed

import (
	"html"
	"html/template"
	"net"
	nethttp "net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/http"
)

// maxLink is the longest address, in bytes, that a feed passes on.
const maxLink = 2048

// feedsBegan is the date in the IDs of feeds: a tag URI needs one on which its host
// was the bus'.
const feedsBegan = "2026"

// isHost is a name or an address, with a port or without.
var isHost = regexp.MustCompile(`^([A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?\.?|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$`)

// base is the address that links begin with, without a slash at the end.
func (f *Feeds) base(r *nethttp.Request) (string, error) {
	if f.cfg.BaseURL != "" {
		return f.cfg.BaseURL, nil
	}
	host := r.Host
	if local, ok := r.Context().Value(nethttp.LocalAddrContextKey).(net.Addr); host == "" && ok {
		host = local.String() // HTTP/1.0
	}
	if !isHost.MatchString(host) {
		return "", fedmsg.RefuseField(http.BadQuery, "Host", "header Host: is no name of a host")
	}
	if r.TLS != nil {
		return "https://" + host, nil
	}
	return "http://" + host, nil
}

// A place is where a bus is: the address that its links begin with, and the name by
// which its tag URIs are told from those of others.
type place struct{ base, authority string }

func newPlace(base string) place {
	u, err := url.Parse(base)
	if err != nil || u.Hostname() == "" {
		return place{base, "localhost"} // cannot be: it was validated
	}
	host := strings.ToLower(strings.TrimRight(u.Hostname(), "."))
	if a, err := netip.ParseAddr(host); err == nil && a.Is6() {
		host = strings.ReplaceAll(a.WithZone("").StringExpanded(), ":", "-") // a tag's host has no colons
	}
	return place{base, strings.ReplaceAll(host, "_", "-")}
}

// tag makes a tag URI: RFC 4151.
func (p place) tag(date, specific string) string {
	return "tag:" + p.authority + "," + date + ":" + strings.TrimPrefix(specific, "/")
}

// withQuery returns what stands behind the path of an address.
func withQuery(values url.Values) string {
	if len(values) == 0 {
		return ""
	}
	return "?" + values.Encode()
}

// lasting returns the parameters that say what is asked for, without those that say
// which part of it, and without some others.
func lasting(values url.Values, without ...string) url.Values {
	all := make(url.Values)
	for name, list := range values {
		if name != "cursor" && name != "limit" && !slices.Contains(without, name) {
			all[name] = list
		}
	}
	return all
}

// webLink returns an address that may be followed, or "" if it is none: http and
// https alone, with a host and without a user.
func webLink(text string) string {
	text = strings.TrimSpace(text)
	u, err := url.Parse(text)
	if err != nil || len(text) > maxLink || u.Hostname() == "" || u.User != nil || u.Opaque != "" || u.Scheme != "http" && u.Scheme != "https" {
		return ""
	}
	link := u.String()
	if strings.ContainsFunc(link, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("\"<>\\^`{|}", r) }) {
		return ""
	}
	return link
}

// title says which feed it is: the name of the bus and what is asked for.
func title(name string, values url.Values) string {
	var asked []string
	if q := values.Get("q"); q != "" {
		asked = append(asked, q)
	}
	var names []string
	for name := range lasting(values, "q", "grouped") {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		asked = append(asked, name+":"+strings.Join(values[name], ","))
	}
	if len(asked) == 0 {
		return name
	}
	return line(name+": "+strings.Join(asked, " "), maxTitle)
}

// Path returns the path of the feed of a query, with its parameters but for the page;
// which is "atom", "rss" or "json".
func Path(which string, values url.Values) string {
	return "/feed." + which + withQuery(lasting(values))
}

// Links returns the elements for the head of a page by which readers find the feeds
// of what it shows. name is what the bus is called; values are the page's parameters, of
// which those that are none of a feed must be taken out.
func Links(name string, values url.Values) template.HTML {
	var b strings.Builder
	for _, f := range []struct{ which, media, form string }{
		{"atom", "application/atom+xml", "Atom"}, {"rss", "application/rss+xml", "RSS"}, {"json", "application/feed+json", "JSON"},
	} {
		b.WriteString(`<link rel="alternate" type="` + f.media + `" title="` + template.HTMLEscapeString(title(name, values)+" ("+f.form+")") +
			`" href="` + template.HTMLEscapeString(Path(f.which, values)) + "\">\n")
	}
	return template.HTML(b.String())
}

// Embed returns the HTML by which other pages show what a search line finds. base is
// where the bus is, http(s)://HOST.
func Embed(base, line string) string {
	base = html.EscapeString(strings.TrimRight(base, "/"))
	query := ""
	if line != "" {
		query = ` query="` + html.EscapeString(line) + `"`
	}
	return `<script src="` + base + elementPath + `" defer></script>` + "\n" +
		`<fedmsg-feed bus="` + base + `"` + query + `></fedmsg-feed>`
}

// latest returns the later of two times.
func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
