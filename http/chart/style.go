package chart

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"sync"
)

// hues is how many colours of series there are.
const hues = 12

// palette are the colours by name, in light and in dark. Those of series differ in
// lightness too, so that they are told apart without red and green; each has a
// contrast of at least 3 to 1 to the paper, and text of at least 4.5.
var palette = []struct{ name, light, dark string }{
	{"paper", "#ffffff", "#15181c"},
	{"ink", "#1a1a1a", "#e8e6e3"},
	{"muted", "#5f6368", "#a3a8ae"},
	{"rule", "#dadce0", "#3a3f45"},
	{"accent", "#0b5cad", "#6cb2f7"},
	{"cat-1", "#0072b2", "#5aa9e6"},
	{"cat-2", "#d55e00", "#ff8c42"},
	{"cat-3", "#008566", "#2ec4a0"},
	{"cat-4", "#a6478d", "#e08ac9"},
	{"cat-5", "#8a6d00", "#e3c44a"},
	{"cat-6", "#332288", "#9d8cff"},
	{"cat-7", "#2b8cbe", "#8fd3f4"},
	{"cat-8", "#882255", "#d96a95"},
	{"cat-9", "#117733", "#7bc86c"},
	{"cat-10", "#cc4466", "#ff9aa2"},
	{"cat-11", "#6e6e6e", "#b4b4b4"},
	{"cat-12", "#7b3f00", "#c89b6d"},
}

// rules are CSS in which a colour is written as its name after a $.
const rules = `.chart{font-family:ui-sans-serif,system-ui,sans-serif;font-size:12px;font-variant-numeric:tabular-nums}
.chart .paper{fill:$paper;}
.chart text{fill:$muted;}
.chart .title{fill:$ink;font-size:15px;font-weight:600}
.chart .value{fill:$ink;}
.chart .reversed{fill:$paper;pointer-events:none}
.chart .grid{stroke:$rule;}
.chart .zero{stroke:$muted;}
.chart .bar,.chart .dot{fill:currentColor}
.chart .area{fill:currentColor;fill-opacity:.75}
.chart .line{fill:none;stroke:currentColor;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
.chart .hit{fill:$ink;fill-opacity:0}
.chart .hit:hover{fill-opacity:.08}
.chart a:focus .hit{fill-opacity:.08}
.chart .l0{fill:$rule;}
.chart .l1,.chart .l2,.chart .l3,.chart .l4{fill:$accent;}
.chart .l1{fill-opacity:.3}
.chart .l2{fill-opacity:.5}
.chart .l3{fill-opacity:.75}
`

// CSS returns the rules for embedded charts. Their colours are the custom properties
// of [Tokens], or others of the same names.
func CSS() string { return colour(func(name, _, _ string) string { return "var(--" + name + ")" }) }

// Tokens returns the colours of charts as custom properties, light and dark: --paper,
// --ink, --muted, --rule, --accent, and --cat-1 to --cat-12 for series.
func Tokens() string {
	var light, dark strings.Builder
	for _, p := range palette {
		fmt.Fprintf(&light, "--%s:%s;", p.name, p.light)
		fmt.Fprintf(&dark, "--%s:%s;", p.name, p.dark)
	}
	return ":root{color-scheme:light dark;" + light.String() + "}\n@media (prefers-color-scheme:dark){:root{" + dark.String() + "}}\n"
}

// colour puts colours into the rules.
func colour(of func(name, light, dark string) string) string {
	text := rules
	for i := range hues {
		text += fmt.Sprintf(".chart .c%d{color:$cat-%d;}\n", i+1, i+1)
	}
	for _, p := range palette {
		text = strings.ReplaceAll(text, "$"+p.name+";", of(p.name, p.light, p.dark)+";")
	}
	return text
}

// standalone is the style of a chart that is a file. Its colours are spelled out:
// not every program that draws SVG knows custom properties.
var standalone = sync.OnceValue(func() string {
	light := colour(func(_, light, _ string) string { return light })
	var dark strings.Builder
	for line := range strings.Lines(colour(func(_, _, dark string) string { return dark })) {
		if strings.Contains(line, "#") {
			dark.WriteString(line)
		}
	}
	return "\n" + light + "@media (prefers-color-scheme:dark){\n" + dark.String() + "}\n"
})

// Policy returns the Content-Security-Policy for a chart that is a file: it lets in
// the chart's own style and nothing else.
func Policy() string {
	sum := sha256.Sum256([]byte(standalone()))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; frame-ancestors 'none'"
}

// hue returns the class of a series.
func (c Chart) hue(i int) string {
	if i < len(c.Series) && c.Series[i].Hue > 0 {
		i = c.Series[i].Hue - 1
	}
	return fmt.Sprintf("c%d", i%hues+1)
}
