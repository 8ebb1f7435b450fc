package meta

import (
	"cmp"
	"context"
	"io/fs"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/meta/generic"
	"github.com/fedora-infra/fedmsg-go/meta/template"
)

// Config says where an [Engine] gets its rules, and what it knows of the world.
// The zero value has the built-in rules and knows nothing.
type Config struct {
	// Dir is a folder of the operator's rule files. They have the first word; what
	// they do not say about a message the built-in ones do.
	Dir string
	// Accounts finds the account of a nick or a mail address, and returns what it
	// does not know unchanged. Nil knows nobody.
	Accounts func(nick string) string
	// Revision is a text that changes when Accounts finds others; see
	// [Engine.Fingerprints].
	Revision string
	// Now is the clock of "in 5 minutes"; nil is time.Now.
	Now func() time.Time
	// Fetch gets a page that a rule asks for; nil fetches nothing. The engine asks
	// for http and https URLs only that the rule file names the beginning of, keeps
	// answers, and gives up after FetchTimeout.
	Fetch func(ctx context.Context, url string) ([]byte, error)
	// FetchTimeout is how long one page may take; 0 means 5 s.
	FetchTimeout time.Duration
	// Settings are for rules that ask for one, such as "namespace".
	Settings map[string]string
	// ReloadInterval is how often [Engine.Watch] looks whether the operator's rules
	// have changed; 0 means 2 s.
	ReloadInterval time.Duration
	// Files are rule files to use instead of the built-in ones, each named after its
	// service; for tests.
	Files fs.FS
}

// Engine finds the words for messages. It is safe for concurrent use.
type Engine struct {
	cfg    Config
	logger *slog.Logger
	rules  atomic.Pointer[ruleset]
	pages  *pages
	world  *template.World
}

var _ fedmsg.Describer = (*Engine)(nil)

// New makes an engine. Rules that are wrong are left out and logged; see
// [Engine.Problems]. The error is of a Dir that cannot be read.
func New(cfg Config, logger *slog.Logger) (*Engine, error) {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.FetchTimeout = cmp.Or(cfg.FetchTimeout, 5*time.Second)
	cfg.ReloadInterval = cmp.Or(cfg.ReloadInterval, 2*time.Second)
	e := &Engine{cfg: cfg, logger: logger, pages: newPages(cfg.Now),
		world: &template.World{Now: cfg.Now, Account: cfg.Accounts, Settings: cfg.Settings}}
	set, err := load(cfg, nil)
	if err != nil {
		return nil, err
	}
	e.use(set)
	return e, nil
}

// Describe finds the words for a message. It never fails: what no rule knows is
// worded by what messages have in common.
func (e *Engine) Describe(ctx context.Context, m *fedmsg.Message) fedmsg.Words {
	d := e.newDescription(ctx, m)
	return d.words()
}

// A description is the work on one message.
type description struct {
	*event
	runs  []*run         // by file, in the order of who has a say
	guess *generic.Guess // of the generic describer, once it was asked
	trace *Explanation
	// nobody is set by a rule that says that there is no agent.
	nobody bool
}

// An event is what all files see of a message.
type event struct {
	engine *Engine
	set    *ruleset
	ctx    context.Context
	msg    *fedmsg.Message
	body   template.Value
	title  string
	prefix string // the first two words of the topic
	env    string
	name   string // of the service: the fourth
	rest   string // the words after it
	fuel   int
}

func (e *Engine) newDescription(ctx context.Context, m *fedmsg.Message) *description {
	ev := &event{engine: e, set: e.rules.Load(), ctx: ctx, msg: m, body: template.ReadJSON(m.Body), fuel: template.MaxFuel}
	ev.readTopic(string(m.Topic))
	d := &description{event: ev}
	for _, p := range ev.set.find(ev.prefix, ev.name) {
		d.runs = append(d.runs, ev.newRun(p))
	}
	return d
}

// readTopic takes PREFIX.PREFIX.ENVIRONMENT.SERVICE.EVENT apart.
func (ev *event) readTopic(topic string) {
	ev.title = topic
	if strings.HasPrefix(topic, "/topic/") {
		return // as old brokers of another kind had them; they stay whole
	}
	words := strings.SplitN(topic, ".", 5)
	if len(words) < 4 {
		return
	}
	ev.prefix, ev.env, ev.name = topic[:len(words[0])+1+len(words[1])], words[2], words[3]
	ev.title = topic[len(ev.prefix)+len(ev.env)+2:]
	if len(words) == 5 {
		ev.rest = words[4]
	}
}

// words puts all fields together.
func (d *description) words() fedmsg.Words {
	w := fedmsg.Words{
		Title:         oneLine(d.title),
		Subtitle:      oneLine(d.text(subtitle)),
		Link:          address(d.text(link)),
		Icon:          address(d.text(icon)),
		SecondaryIcon: address(d.text(secondaryIcon)),
		LongForm:      paragraphs(d.text(longForm)),
		Agent:         oneLine(d.text(agent)),
	}
	first := ""
	w.Usernames, first = d.collect(usernames)
	w.Packages, _ = d.collect(packages)
	w.Objects, _ = d.collect(objects)
	if w.Title == "" {
		w.Title = "message"
	}
	if w.Subtitle == "" {
		w.Subtitle = oneLine(d.guessed().Sentence())
	}
	w.LongForm = cmp.Or(w.LongForm, w.Subtitle)
	if !d.nobody {
		w.Agent = cmp.Or(w.Agent, first)
	}
	if realm := d.people(); realm != "" && len(w.Usernames) > 0 {
		w.Emails, w.Avatars = make(map[string]string), make(map[string]string)
		room := template.MaxField
		for _, name := range w.Usernames {
			mail, picture := name+"@"+realm, template.Avatar(name, realm)
			if room -= len(mail) + len(name) + len(picture); room >= 0 {
				w.Emails[mail], w.Avatars[name] = name, picture
			}
		}
	}
	return w
}

// people is the realm of the accounts: the first that a file names.
func (d *description) people() string {
	for _, r := range d.runs {
		if r.p.people != "" {
			return r.p.people
		}
	}
	return ""
}

// text finds a field that is one text.
func (d *description) text(f field) string {
	for _, r := range d.runs {
		c, ok := r.choose(r.plan.fields[f])
		if !ok {
			continue
		}
		r.Forget()
		v := r.eval(c.text)
		d.trace.add(f, r, c, v)
		d.nobody = d.nobody || f == agent && v.Kind() == template.Text && v.IsBlank()
		if v.Kind() >= template.List {
			v = template.Value{}
		}
		return v.String()
	}
	if f == icon || f == secondaryIcon || f == longForm || len(d.runs) > 0 && f == agent && d.sets(usernames) {
		return ""
	}
	s := ""
	switch f {
	case subtitle:
		s = d.guessed().Sentence()
	case link:
		s = d.guessed().Link()
	case agent:
		s = d.guessed().Agent
	}
	d.trace.addGuess(f, s)
	return s
}

// guessed asks the generic describer, once.
func (d *description) guessed() *generic.Guess {
	if d.guess == nil {
		schema := cmp.Or(d.set.schemas[d.title], d.set.schemas[d.name])
		d.guess = generic.New(generic.Message{Body: d.body, Title: d.title, Service: d.name, Event: d.rest}, schema)
	}
	return d.guess
}

// sets reports whether some rule has a say about a field of this message.
func (d *description) sets(f field) bool {
	return slices.ContainsFunc(d.runs, func(r *run) bool { _, ok := r.choose(r.plan.fields[f]); return ok })
}

// collect finds a field that is a set, sorted, and what was named first.
func (d *description) collect(f field) (set []string, first string) {
	var found []template.Value
	for _, r := range d.runs {
		c, ok := r.choose(r.plan.fields[f])
		if !ok {
			continue
		}
		r.Forget()
		found = r.elements(c.elements)
		d.trace.add(f, r, c, template.NewList(found...))
		return asSet(found)
	}
	if f != objects {
		found = d.guessed().Packages
		if f == usernames {
			found = template.Flatten(nil, []template.Value{template.NewText(d.guessed().Agent)})
		}
		d.trace.addGuess(f, strings.Join(template.Strings(found), ", "))
	}
	return asSet(found)
}

func asSet(found []template.Value) (set []string, first string) {
	for _, v := range found {
		if s := oneLine(v.String()); s != "" && v.Kind() < template.List {
			set = append(set, s)
		}
	}
	if len(set) > 0 {
		first = set[0]
	}
	slices.Sort(set)
	set = slices.Compact(set)
	size := 0
	for i, s := range set {
		if size += len(s); size > maxSet {
			return set[:i], first
		}
	}
	return set, first
}

// A run is one file's work on one message.
type run struct {
	template.Run
	*event
	p     *program
	plan  *plan
	known []known // values of variables
	whens map[*rule]bool
	extra map[string]template.Value // of a group
	trace map[string]template.Value // variables, if somebody asked for an explanation
}

type known struct {
	template.Value
	state uint8
}

const (
	unknown = iota
	asking
	answered
)

func (ev *event) newRun(p *program) *run {
	r := &run{event: ev, p: p, plan: p.plan(ev.rest), known: make([]known, len(p.varNames))}
	world := *ev.engine.world
	world.Realm = p.people
	r.Run = template.Run{Body: ev.body, Vars: r, World: &world, Fuel: &ev.fuel}
	return r
}

// choose returns the first choice whose rule applies.
func (r *run) choose(choices []choice) (choice, bool) {
	for _, c := range choices {
		if c.rule == nil || c.rule.when == nil || r.applies(c.rule) {
			return c, true
		}
	}
	return choice{}, false
}

func (r *run) applies(ru *rule) bool {
	holds, ok := r.whens[ru]
	if !ok {
		if r.whens == nil {
			r.whens = make(map[*rule]bool)
		}
		r.whens[ru] = false // for a condition that asks for itself
		restore := r.Forget()
		holds = r.eval(ru.when).IsTrue()
		restore()
		r.whens[ru] = holds
	}
	return holds
}

// eval runs a template for the whole message.
func (r *run) eval(t *template.Template) template.Value { return t.Value(&r.Run, r.body) }

// elements makes the values of a list.
func (r *run) elements(elements []element) []template.Value {
	var found []template.Value
	for _, el := range elements {
		if el.each == nil {
			found = template.Flatten(found, []template.Value{r.eval(el.emit)})
			continue
		}
		for _, item := range r.eval(el.each).Items() {
			if !r.Spend(template.StepFuel) {
				return found
			}
			if el.where == nil || el.where.Value(&r.Run, item).IsTrue() {
				found = template.Flatten(found, []template.Value{el.emit.Value(&r.Run, item)})
			}
		}
	}
	return found
}

// builtins are the variables that every message has.
var builtins = []string{"topic", "title", "event", "prefix", "env", "service", "sender", "id", "time", "message", "count", "members", "usernames", "packages", "topics"}

// Variable finds the value of a variable, once.
func (r *run) Variable(index int) template.Value {
	if v, ok := r.extra[r.p.variableName(index)]; ok {
		return v // of a group
	}
	if index < 0 {
		return r.builtin(builtins[-1-index])
	}
	k := &r.known[index]
	switch k.state {
	case answered:
		return k.Value
	case asking:
		return template.Value{} // it needs itself; told when the file was loaded
	}
	k.state = asking
	c, ok := r.choose(r.plan.vars[index])
	v := template.Value{}
	if !ok {
		v = r.builtin(r.p.varNames[index]) // of that name, unless a rule that does not match sets it
	} else if r.Spend(template.StepFuel) {
		restore := r.Forget()
		v = r.eval(c.text)
		restore()
	}
	*k = known{v, answered}
	if r.trace != nil {
		r.trace[r.p.varNames[index]] = v
	}
	return v
}

// Fetch gets a page for a rule.
func (r *run) Fetch(url string) ([]byte, bool) { return r.fetch(url) }

func (r *run) builtin(name string) template.Value {
	s := ""
	switch name {
	case "topic":
		s = string(r.msg.Topic)
	case "title":
		s = r.title
	case "event":
		return template.NewText(r.rest)
	case "prefix":
		s = r.prefix
	case "env":
		s = r.env
	case "service":
		s = r.name
	case "sender":
		s = r.msg.User
	case "id":
		s = r.msg.ID
	case "time":
		return template.ReadJSON(r.msg.Fields("timestamp")[0])
	case "message":
		return template.ReadJSON(r.msg.Bytes())
	}
	if s == "" {
		return template.Value{}
	}
	return template.NewText(s)
}

// Services are the services that the rules in force know, sorted.
func (e *Engine) Services() []string { return slices.Sorted(maps.Keys(e.rules.Load().byService)) }
