package meta_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/meta"
)

// soon is how long a change of a folder may take to be in force, at most; it takes
// some milliseconds.
const soon = 10 * time.Second

// says is a rule file of a service that says one sentence.
func says(service, sentence string) string {
	return fmt.Sprintf("service = %q\nsubtitle = '%s'\n", service, sentence)
}

// A watched is an engine that watches a folder.
type watched struct {
	*meta.Engine
	t   *testing.T
	dir string
	log *fedmsgtest.LogBook
}

// watch starts an engine on a folder with files, NAME and text by turns. No
// built-in rules are there.
func watch(t *testing.T, files ...string) *watched {
	t.Helper()
	w := &watched{t: t, dir: filepath.Join(t.TempDir(), "own"), log: new(fedmsgtest.LogBook)}
	if err := os.Mkdir(w.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, w.dir, files...)
	w.start(meta.Config{Dir: w.dir, Files: fstest.MapFS{}})
	return w
}

func (w *watched) start(cfg meta.Config) {
	w.t.Helper()
	cfg.ReloadInterval = time.Millisecond
	engine, err := meta.New(cfg, w.log.Logger(slog.LevelInfo))
	if err != nil {
		w.t.Fatal(err)
	}
	w.Engine = engine
	fedmsgtest.Start(w.t, "watch", engine.Watch)
}

// saying waits until messages of a service are worded so.
func (w *watched) saying(service, sentence string) {
	w.t.Helper()
	fedmsgtest.Eventually(w.t, soon, service+" says: "+sentence, func() bool { return describe(w.Engine, service+".x", `{}`).Subtitle == sentence })
}

// telling waits until a problem is told that ends so.
func (w *watched) telling(problem string) {
	w.t.Helper()
	fedmsgtest.Eventually(w.t, soon, "a problem is told: "+problem, func() bool { return w.tells(problem) })
}

// logging waits until the log has a text.
func (w *watched) logging(text string) {
	w.t.Helper()
	fedmsgtest.Eventually(w.t, soon, "in the log: "+text, func() bool { return strings.Contains(w.log.String(), text) })
}

func (w *watched) tells(problem string) bool {
	for _, p := range w.Problems() {
		if strings.HasSuffix(p.Error(), problem) {
			return true
		}
	}
	return false
}

// rename moves a file or folder that stands in, or beside, the watched folder.
func (w *watched) rename(from, to string) {
	w.t.Helper()
	if err := os.Rename(filepath.Join(w.dir, from), filepath.Join(w.dir, to)); err != nil {
		w.t.Fatal(err)
	}
}

// generic is what is said of a service without rules.
func generic(t *testing.T, service string) string {
	t.Helper()
	return describe(newEngine(t, meta.Config{Files: fstest.MapFS{}}), service+".x", `{}`).Subtitle
}

func TestWatch(t *testing.T) {
	w := watch(t, "shop.toml", says("shop", "one"))
	w.saying("shop", "one")
	write(t, w.dir, "shop.toml", says("shop", "two, changed"))
	w.saying("shop", "two, changed")
	write(t, w.dir, "bar.toml", says("bar", "new"))
	w.saying("bar", "new")
	w.saying("shop", "two, changed")
	if err := os.Remove(filepath.Join(w.dir, "shop.toml")); err != nil {
		t.Fatal(err)
	}
	w.saying("shop", generic(t, "shop"))
	w.saying("bar", "new")
	w.rename("bar.toml", "pub.toml")
	write(t, w.dir, "pub.toml", says("pub", "moved"))
	w.saying("pub", "moved")
	w.saying("bar", generic(t, "bar"))
	if n := strings.Count(w.log.String(), "the rules have changed"); n < 4 {
		t.Errorf("%d changes in the log:\n%s", n, w.log)
	}
}

// What an edit breaks keeps its former rules, however it is broken, until it is
// mended; what was broken from the beginning has none.
func TestWatchBrokenFile(t *testing.T) {
	tests := []struct{ name, text, problem string }{
		{"syntax", "service = \"shop\"\n[[rule", "shop.toml:2: "},
		{"empty", "", "shop.toml: no service"},
		{"another service", "service = \"*\"\n", "shop.toml:1: service"},
		{"too large", strings.Repeat("# much\n", 150_000), "shop.toml: the file has 1050000 bytes; 1048576 is the limit"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := watch(t, "shop.toml", says("shop", "one"), "bar.toml", says("bar", "open"))
			write(t, w.dir, "shop.toml", tt.text, "bar.toml", says("bar", "still open"), "new.toml", tt.text)
			w.saying("bar", "still open")
			file := filepath.Join(w.dir, "shop.toml")
			w.telling(file + ": its former rules stay in force")
			w.saying("shop", "one")
			w.saying("new", generic(t, "new"))
			if w.tells(filepath.Join(w.dir, "new.toml") + ": its former rules stay in force") {
				t.Error("a new file has former rules")
			}
			for _, told := range []string{tt.problem, "its former rules stay in force"} {
				fedmsgtest.Eventually(t, soon, "in the log: "+told, func() bool { return strings.Contains(w.log.String(), told) })
			}
			write(t, w.dir, "shop.toml", says("shop", "mended"), "new.toml", says("new", "mended, too"))
			w.saying("shop", "mended")
			w.saying("new", "mended, too")
			fedmsgtest.Eventually(t, soon, "no problem is left", func() bool { return len(w.Problems()) == 0 })
		})
	}
}

// One wrong rule does not keep the others from changing.
func TestWatchWrongRule(t *testing.T) {
	w := watch(t, "shop.toml", says("shop", "one"))
	write(t, w.dir, "shop.toml", says("shop", "two")+"[[rule]]\ntopic = \"#\"\nsubtitle = '{{qqqqqqqq}}'\n")
	w.saying("shop", "two")
	w.telling(`shop.toml:5: rule.subtitle: unknown helper "qqqqqqqq"; a field of the message is written .qqqqqqqq`)
	if w.tells("its former rules stay in force") {
		t.Error("the former rules of a file that can be read stay in force")
	}
	w.logging(`msg="a mistake in a rule file; what has it is left out, the rest of the file is in force" err="` + filepath.Join(w.dir, "shop.toml") + `:5: rule.subtitle: `)
	w.logging(`msg="the rules have changed" files=[` + filepath.Join(w.dir, "shop.toml") + `]`)
}

// The log says that rules have changed if they have: not of examples, and not of a
// file of which the former rules stay.
func TestWatchTellsChanges(t *testing.T) {
	w := watch(t, "shop.toml", says("shop", "one"))
	shop := filepath.Join(w.dir, "shop.toml")
	write(t, w.dir, "shop.jsonl", "{}", "shop.toml", "service = \n")
	w.logging(`msg="a rule file cannot be used; its former rules stay in force" err="` + shop + `:1: `)
	if strings.Contains(w.log.String(), "the rules have changed") {
		t.Errorf("nothing has changed:\n%s", w.log)
	}
	write(t, w.dir, "shop.toml", says("shop", "one"))
	w.logging(`msg="the rules have changed" files=[` + shop + `]`) // they are in order again
	write(t, w.dir, "new.toml", "service = \n")
	w.logging(`msg="a rule file cannot be used and is left out" err="` + filepath.Join(w.dir, "new.toml") + `:1: `)
	write(t, w.dir, "new.toml", "prefix = 'org.a'\n"+says("shop", "twice"))
	w.logging(`msg="two rule files of one service" err="` + shop + `: new.toml is of service \"shop\" too`)
}

// Two files of a folder may be of one service, if no message is of both.
func TestTwins(t *testing.T) {
	one, other := "prefix = ['org.a', 'org.b']\n"+says("shop", "one"), "prefix = 'org.c'\n"+says("shop", "other")
	dir := t.TempDir()
	write(t, dir, "a.toml", one, "b.toml", other)
	if notes := newEngine(t, meta.Config{Dir: dir}).Notes(); len(notes) > 0 {
		t.Errorf("of two prefixes: %v", notes)
	}
	write(t, dir, "c.toml", one, "d.toml", says("shop", "all"))
	var told []string
	for _, p := range newEngine(t, meta.Config{Dir: dir}).Notes() {
		told = append(told, filepath.Base(p.File)+": "+p.Text)
	}
	want := []string{
		`c.toml: a.toml is of service "shop" too, and has the first word; put them together, or give each its prefix`,
		`d.toml: a.toml is of service "shop" too, and has the first word; put them together, or give each its prefix`,
	}
	if !slices.Equal(told, want) {
		t.Errorf("notes:\n%q, want\n%q", told, want)
	}
}

// A folder that is gone leaves the present rules in force, which is told once; when
// it is back, so are its rules.
func TestWatchVanishedFolder(t *testing.T) {
	w := watch(t, "shop.toml", says("shop", "one"))
	w.rename("", "../away")
	const told = "the rules cannot be read; the present ones stay in force"
	fedmsgtest.Eventually(t, soon, "it is told", func() bool { return strings.Contains(w.log.String(), told) })
	gone := time.Now()
	fedmsgtest.Eventually(t, soon, "it was looked for often", func() bool { return time.Since(gone) > 50*time.Millisecond })
	w.saying("shop", "one")
	write(t, filepath.Join(w.dir, "..", "away"), "shop.toml", says("shop", "two, back"))
	w.rename("../away", "")
	w.saying("shop", "two, back")
	if n := strings.Count(w.log.String(), told); n != 1 {
		t.Errorf("told %d times:\n%s", n, w.log)
	}
}

// No link leads out of the folder, and none of what is no rule file is read.
func TestWatchLinksAndOthers(t *testing.T) {
	w := watch(t, "shop.toml", says("shop", "one"), "notes.txt", "x", "shop.toml~", "x", "shop.jsonl", "x", ".#shop.toml", "x", "README", "x")
	beside := filepath.Dir(w.dir)
	write(t, beside, "outside.toml", says("outside", "nobody may read this"))
	for name, target := range map[string]string{
		"up.toml": "../outside.toml", "absolute.toml": filepath.Join(beside, "outside.toml"), "nowhere.toml": "nowhere", "inside.toml": "data/inside",
		"through.toml": "data/../../outside.toml", ".#lock.toml": "alice@example.org.1",
	} {
		if err := os.Symlink(target, filepath.Join(w.dir, name)); err != nil {
			t.Skipf("no symbolic links here: %v", err)
		}
	}
	if err := os.MkdirAll(filepath.Join(w.dir, "data", "more"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(w.dir, "data"), "inside", says("inside", "linked"), "sub.toml", says("sub", "nobody reads this"))
	write(t, w.dir, "shop.toml", says("shop", "two, changed"))
	w.saying("shop", "two, changed")
	w.saying("inside", "linked")
	for _, name := range []string{"up.toml", "absolute.toml", "through.toml"} {
		w.telling(filepath.Join(w.dir, name) + ": path escapes from parent")
	}
	w.telling(filepath.Join(w.dir, "nowhere.toml") + ": no such file or directory")
	if problems := w.Problems(); len(problems) != 4 {
		t.Errorf("problems: %v, want four", problems)
	}
	for _, service := range []string{"outside", "sub"} {
		w.saying(service, generic(t, service))
	}
	write(t, filepath.Join(w.dir, "data"), "inside", says("inside", "linked, and changed"))
	w.saying("inside", "linked, and changed")
}

// The rules of a folder and built-in ones may have files of the same name; those
// that are built in are nobody's former rules.
func TestWatchFolderNamedRules(t *testing.T) {
	w := &watched{t: t, dir: "rules", log: new(fedmsgtest.LogBook)}
	t.Chdir(t.TempDir())
	if err := os.Mkdir("rules", 0o700); err != nil {
		t.Fatal(err)
	}
	w.start(meta.Config{Dir: "rules", Files: fstest.MapFS{"shop.toml": {Data: []byte(says("shop", "built in"))}}})
	w.saying("shop", "built in")
	write(t, "rules", "shop.toml", "service = \n", "bar.toml", says("bar", "open"))
	w.saying("bar", "open")
	if w.tells("its former rules stay in force") {
		t.Errorf("problems: %v", w.Problems())
	}
	w.saying("shop", "built in")
}

// Words are found while rules change, and are those of one state or another.
func TestWatchConcurrently(t *testing.T) {
	w := watch(t, "shop.toml", says("shop", "state 0"), "bar.toml", says("bar", "open"))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var workers sync.WaitGroup
	m := fedmsgtest.MessageOf(1, "org.fedoraproject.prod.shop.x", `{"a": 1}`)
	for range 4 {
		workers.Go(func() {
			for ctx.Err() == nil {
				if got := w.Describe(ctx, m).Subtitle; !strings.HasPrefix(got, "state ") {
					t.Errorf("it says %q", got)
					return
				}
				if x := w.Explain(ctx, m); len(x.Files) != 1 {
					t.Errorf("asked: %q", x.Files)
					return
				}
				w.Rules()
				w.Services()
				w.Problems()
			}
		})
	}
	for i := 1; i <= 20; i++ {
		text := says("shop", fmt.Sprintf("state %0*d", i, i))
		if i%3 == 0 {
			write(t, w.dir, "shop.toml", "service = \n"+strings.Repeat("#", i)) // broken: the former rules stay
			w.telling("its former rules stay in force")
		}
		write(t, w.dir, "shop.new", text)
		w.rename("shop.new", "shop.toml") // whole at any time
		w.saying("shop", fmt.Sprintf("state %0*d", i, i))
	}
	cancel()
	workers.Wait()
}

// Watch ends with its context, also if there is nothing to watch.
func TestWatchEnds(t *testing.T) {
	for _, dir := range []string{"", t.TempDir()} {
		before := fedmsgtest.InUse(t)
		engine := newEngine(t, meta.Config{Dir: dir, ReloadInterval: time.Millisecond})
		fedmsgtest.Start(t, "watch", engine.Watch)()
		fedmsgtest.Returns(t, soon, before)
	}
}
