package chart

import (
	"math"
	"strconv"
	"unicode"
	"unicode/utf8"
)

// A canvas is an SVG being written.
type canvas struct{ out []byte }

// attributes are names and values by turns. A value is a string, an int or a
// float64, which is a place in pixels.
func (c *canvas) attributes(pairs []any) {
	for i := 0; i+1 < len(pairs); i += 2 {
		c.out = append(append(append(c.out, ' '), pairs[i].(string)...), `="`...)
		switch v := pairs[i+1].(type) {
		case string:
			c.out = appendEscaped(c.out, v)
		case int:
			c.out = strconv.AppendInt(c.out, int64(v), 10)
		case float64:
			c.out = appendPixel(c.out, v)
		}
		c.out = append(c.out, '"')
	}
}

func (c *canvas) open(name string, pairs ...any) {
	c.out = append(append(c.out, '<'), name...)
	c.attributes(pairs)
	c.out = append(c.out, '>')
}

func (c *canvas) shut(name string) {
	c.out = append(append(append(c.out, "</"...), name...), ">\n"...)
}

// shape writes an element without content.
func (c *canvas) shape(name string, pairs ...any) {
	c.out = append(append(c.out, '<'), name...)
	c.attributes(pairs)
	c.out = append(c.out, "/>\n"...)
}

// write puts text at a place; anchor is start, middle or end.
func (c *canvas) write(class, anchor string, x, y float64, text string) {
	if text == "" {
		return
	}
	c.open("text", "class", class, "text-anchor", anchor, "x", x, "y", y)
	c.out = appendEscaped(c.out, text)
	c.shut("text")
}

// hit is an area that shows a title to a pointer, and leads somewhere. One of the
// class hit cannot be seen.
func (c *canvas) hit(class string, x, y, width, height float64, title, link string) {
	if link != "" {
		c.open("a", "href", link)
	}
	c.open("rect", "class", class, "x", x, "y", y, "width", width, "height", height)
	c.open("title")
	c.out = appendEscaped(c.out, title)
	c.out = append(c.out, "</title></rect>"...)
	if link != "" {
		c.out = append(c.out, "</a>"...)
	}
	c.out = append(c.out, '\n')
}

// appendPixel appends a place, to a tenth of a pixel.
func appendPixel(dst []byte, v float64) []byte {
	v = math.Round(v*10) / 10
	if v == 0 {
		v = 0 // not -0
	}
	return strconv.AppendFloat(dst, v, 'f', -1, 64)
}

// appendEscaped appends text for an element or an attribute. Characters that XML
// cannot have, or that turn the direction of what follows, are left out.
func appendEscaped(dst []byte, text string) []byte {
	for i, r := range text {
		switch {
		case r == '&':
			dst = append(dst, "&amp;"...)
		case r == '<':
			dst = append(dst, "&lt;"...)
		case r == '>':
			dst = append(dst, "&gt;"...)
		case r == '"':
			dst = append(dst, "&#34;"...)
		case r == '\'':
			dst = append(dst, "&#39;"...)
		case r == '\n':
			dst = append(dst, "&#10;"...)
		case r == '\t':
			dst = append(dst, ' ')
		case isUnprintable(r):
		case r == utf8.RuneError && text[i] != "\uFFFD"[0]:
			dst = append(dst, "\uFFFD"...)
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return dst
}

func isUnprintable(r rune) bool {
	return unicode.IsControl(r) || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r&0xfffe == 0xfffe
}

// Sizes of text at 12 pixels, the size of all but titles. System fonts differ:
// these are a little more than the widest of them takes.
const (
	fontSize   = 12
	runeWidth  = 6.9
	wideWidth  = 12.5
	lineHeight = 16
)

func textWidth(s string) (w float64) {
	for _, r := range s {
		switch {
		case r >= 0x1100 && unicode.In(r, unicode.Han, unicode.Hangul, unicode.Hiragana, unicode.Katakana) || r > 0x1f000:
			w += wideWidth
		case unicode.Is(unicode.Mn, r) || isUnprintable(r):
		case r == narrowSpace:
			w += runeWidth / 2
		default:
			w += runeWidth
		}
	}
	return w
}

// fit cuts text that is wider than some pixels.
func fit(s string, width float64) string {
	if textWidth(s) <= width {
		return s
	}
	w := runeWidth
	for i, r := range s {
		if w += textWidth(string(r)); w > width {
			return s[:i] + "…"
		}
	}
	return s
}
