package web

import (
	"cmp"
	"context"
	"fmt"
	"html/template"
	"math"
	nethttp "net/http"
	"slices"
	"strings"
	"time"

	"github.com/fedora-infra/fedmsg-go/http/web/figure"
	"github.com/fedora-infra/fedmsg-go/http/web/say"
)

// A Part is one part of the bus, as /status tells of it.
type Part struct {
	// Name is what it is called, such as "zmq relay"; Kind says where it stands.
	Name string
	Kind Kind
	// State says whether somebody must look, Word why in a word or two: "running",
	// "behind".
	State State
	Word  string
	// Figure is its number, with the unit: "12 behind".
	Figure string
	// Since is from when on it is so; zero if that is not known.
	Since time.Time
	// Rate is how many messages a second pass through it.
	Rate float64
}

// A Kind is where a part stands.
type Kind string

// Messages go from sources to the log and from there to readers. The archive is a
// reader. All others have no place in the line: a disk, a certificate.
const (
	Source Kind = "source"
	Log    Kind = "log"
	Reader Kind = "reader"
	Other  Kind = "other"
)

// A State says whether somebody must look at a part.
type State string

// The states.
const (
	Good State = "good"
	Warn State = "warn" // not now
	Bad  State = "bad"  // now
)

// statusPage is how the bus is.
type statusPage struct {
	Parts    []Part
	Services []figure.Service
	Topology template.HTML
	Worst    State
	Headline string
	Quiet    int
	Failed   bool // the archive did not answer
}

func (p *Pages) status(w nethttp.ResponseWriter, r *nethttp.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), countTime)
	defer cancel()
	page := statusPage{Worst: Good}
	if p.cfg.Status != nil {
		page.Parts = p.cfg.Status(ctx)
	}
	var err error
	if page.Services, err = p.maker.Services(ctx); err != nil {
		p.logger.WarnContext(ctx, "no services", "err", err)
		page.Failed, page.Worst = true, Warn
	}
	slices.SortStableFunc(page.Parts, func(a, b Part) int { return cmp.Compare(urgency[a.State], urgency[b.State]) })
	if len(page.Parts) > 0 && urgency[page.Parts[0].State] < urgency[page.Worst] {
		page.Worst = page.Parts[0].State
	}
	page.Headline = headline(page)
	for _, s := range page.Services {
		if s.Quiet {
			page.Quiet++
		}
	}
	page.Topology = topology(page.Parts)
	p.show(w, r, nethttp.StatusOK, "status", view{Title: "Status", Tab: "Status", Module: "status.js", Page: page})
}

// urgency orders states: what somebody must look at comes first.
var urgency = map[State]int{Bad: 0, Warn: 1, Good: 2}

// headline says in a few words how the bus is.
func headline(page statusPage) string {
	var wrong []string
	for _, part := range page.Parts {
		if part.State != Good {
			wrong = append(wrong, say.Visible(part.Name)+": "+say.Visible(part.Word))
		}
	}
	const named = 3
	switch {
	case len(wrong) > named:
		return fmt.Sprintf("%s, and %d more", strings.Join(wrong[:named], ", "), len(wrong)-named)
	case len(wrong) > 0:
		return strings.Join(wrong, ", ")
	case page.Failed:
		return "The archive does not answer"
	case len(page.Parts) > 0:
		return "The bus is well"
	}
	return "Services on this bus"
}

// Places in the drawing of the bus, in its own units.
const (
	boxWidth, boxHeight = 190.0, 34.0
	lineDistance        = 46.0
	drawingWidth        = 680.0
)

// topology draws the way of messages: sources, log, readers; the wider a line the
// more pass. It is empty if there is nothing to draw.
func topology(parts []Part) template.HTML {
	var sources, readers []Part
	logPart := Part{Name: "log", Kind: Log, State: Good}
	for _, part := range parts {
		switch part.Kind {
		case Source:
			sources = append(sources, part)
		case Reader:
			readers = append(readers, part)
		case Log:
			logPart = part
		}
	}
	lines := max(len(sources), len(readers))
	if lines == 0 {
		return ""
	}
	high := float64(lines) * lineDistance
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="topology" viewBox="0 0 %[1]g %[2]g" width="%[1]g" height="%[2]g" role="img" aria-label="Messages go from %[3]s to the log, and from there to %[4]s; rates are in the table">`,
		drawingWidth, high, say.Plural(int64(len(sources)), "source", "sources"), say.Plural(int64(len(readers)), "reader", "readers"))
	middle := high / 2
	column := func(list []Part, x, from, to float64) {
		top := (high - float64(len(list))*lineDistance) / 2
		for i, part := range list {
			y := top + (float64(i)+.5)*lineDistance
			start, end := y, middle
			if x > 0 {
				start, end = middle, y
			}
			fmt.Fprintf(&b, `<path class="way %s" stroke-width="%.1f" d="M%g %gC%g %g %g %g %g %g"/>`,
				part.State, lineWidth(part.Rate), from, start, (from+to)/2, start, (from+to)/2, end, to, end)
			box(&b, part, x, y)
		}
	}
	left, right := (drawingWidth-boxWidth*.6)/2, (drawingWidth+boxWidth*.6)/2
	column(sources, 0, boxWidth, left)
	column(readers, drawingWidth-boxWidth, right, drawingWidth-boxWidth)
	fmt.Fprintf(&b, `<rect class="box %s" x="%g" y="%g" width="%g" height="%g"/><text class="middle" x="%g" y="%g">%s</text>`,
		logPart.State, left, middle-boxHeight/2, boxWidth*.6, boxHeight, drawingWidth/2, middle+4, template.HTMLEscapeString(say.Visible(logPart.Name)))
	b.WriteString("</svg>")
	return template.HTML(b.String())
}

// lineWidth grows with the logarithm of a rate: from 1, for nothing, to 12.
func lineWidth(rate float64) float64 {
	return math.Min(1.5+2.2*math.Log10(1+10*math.Max(rate, 0)), 12)
}

func box(b *strings.Builder, part Part, x, y float64) {
	name := []rune(say.Visible(part.Name))
	if len(name) > 20 {
		name = append(name[:19], '…')
	}
	rate := ""
	if part.Rate > 0 {
		rate = fmt.Sprintf("%.3g/s", part.Rate)
	}
	fmt.Fprintf(b, `<rect class="box %s" x="%g" y="%g" width="%g" height="%g"/><text x="%g" y="%g">%s</text><text class="end" x="%g" y="%g">%s</text>`,
		part.State, x, y-boxHeight/2, boxWidth, boxHeight, x+10, y+4, template.HTMLEscapeString(string(name)), x+boxWidth-10, y+4, rate)
}
