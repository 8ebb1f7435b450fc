package configure

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/config"
	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/config/parse"
	"github.com/fedora-infra/fedmsg-go/pyconfig"
)

// importedName is the file that is made in a directory.
const importedName = "50-imported.toml"

// An importer makes a file of old ones.
type importer struct {
	*command
	hostname, fqdn, out, verify string
	force                       bool
}

func (c *command) newImport() *cobra.Command {
	im := importer{command: c}
	cmd := &cobra.Command{
		Use:   "import DIR|FILE.py...",
		Short: "Make one TOML file of old Python files, without running them",
		Long: `Reads the *.py files of fedmsg 1.x in the order of their names, as fedmsg did, but runs
nothing of them: it understands what configurations are made of (texts, lists, dicts,
formatting, comprehensions, conditions, the host's name). What it leaves out it names,
with file and line, on standard error; what it cannot understand is an error.

Keys that nothing reads any more are named and left out. A password goes into a file of
its own beside the new one.`,
		Example: `  # look at what comes out
  fedmsg config import /etc/fedmsg.d --hostname app01

  # make /etc/fedmsg.d/` + importedName + `, and compare with what fedmsg itself saw
  fedmsg-config > old.json
  fedmsg config import /etc/fedmsg.d --hostname $(hostname) -o /etc/fedmsg.d --verify old.json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return c.Usage(&fedmsg.HintError{Err: errors.New("arguments: nothing to import"), Hint: "name the directory: fedmsg config import /etc/fedmsg.d"})
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return im.run(args) },
	}
	f := cmd.Flags()
	f.StringVar(&im.hostname, "hostname", "", "import for the machine NAME (default: this one)")
	f.StringVar(&im.fqdn, "fqdn", "", "its full name (default: --hostname)")
	f.StringVarP(&im.out, "output", "o", "", "write to FILE, or to "+importedName+" in DIR (default: standard output)")
	f.StringVar(&im.verify, "verify", "", "compare with FILE, which the old fedmsg-config printed")
	f.BoolVar(&im.json, "json", false, "print all that was read as one JSON object, as fedmsg-config did, and write nothing")
	f.BoolVar(&im.force, "force", false, "write over a file that is there")
	return cmd
}

func (im *importer) run(args []string) error {
	files, err := readPython(args)
	if err != nil {
		return err
	}
	host := im.hostname
	if host == "" {
		if host, err = os.Hostname(); err != nil {
			return fmt.Errorf("--hostname: %w", err)
		}
	}
	values, report, err := pyconfig.Read(files, pyconfig.Config{Hostname: host, FQDN: cmp.Or(im.fqdn, host)})
	im.tellNotes(report)
	if err != nil {
		return im.Data(err)
	}
	if err := im.compare(values); err != nil {
		return err
	}
	if im.json {
		return im.encode(values)
	}
	l, problems := config.Adopt(asValue(values))
	for _, p := range problems {
		im.tell("left out", p)
	}
	for _, p := range l.Unneeded() {
		im.tell("left out", p)
		l.Forget(p.Key)
	}
	return im.write(l, args)
}

// readPython reads the files of directories, and files.
func readPython(args []string) (files []pyconfig.File, err error) {
	for _, path := range args {
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		dir, only := path, ""
		if !info.IsDir() {
			dir, only = filepath.Split(path)
		}
		all, err := pyconfig.Files(os.DirFS(cmp.Or(dir, ".")))
		if err != nil {
			return nil, err
		}
		found := len(files)
		for _, f := range all {
			if only == "" || f.Name == only {
				f.Name = filepath.Join(dir, f.Name)
				files = append(files, f)
			}
		}
		if len(files) == found {
			return nil, &fedmsg.HintError{Err: &fs.PathError{Op: "import", Path: path, Err: errors.New("there is no *.py file")}, Hint: "the files of fedmsg 1.x are in /etc/fedmsg.d, ~/.fedmsg.d or fedmsg.d"}
		}
	}
	return files, nil
}

func (im *importer) tell(what string, about fmt.Stringer) {
	fmt.Fprintf(im.Stderr, "%s: %s\n", what, im.Clean(about.String()))
}

// tellNotes tells what became of the files, but for what was simply taken.
func (im *importer) tellNotes(report pyconfig.Report) {
	for _, n := range report.Notes {
		if n.About != pyconfig.Taken {
			fmt.Fprintln(im.Stderr, im.Clean(n.String()))
		}
	}
	fmt.Fprintf(im.Stderr, "%d keys were read\n", len(report.About(pyconfig.Taken)))
}

// compare compares with what the original printed.
func (im *importer) compare(values pyconfig.Value) error {
	if im.verify == "" {
		return nil
	}
	printed, err := os.ReadFile(im.verify)
	if err != nil {
		return err
	}
	all, err := pyconfig.Compare(values, printed)
	if err != nil {
		return im.Data(err)
	}
	differ := 0
	for _, d := range all {
		if !d.Default {
			differ++
			im.tell("differs", d)
		}
	}
	if differ > 0 {
		return im.Data(fmt.Errorf("--verify: %s: %d keys differ, and nothing was written", im.verify, differ))
	}
	fmt.Fprintf(im.Stderr, "all keys are as in %s\n", im.verify)
	return nil
}

// asValue is a value of Python as one of ours. None says nothing.
func asValue(v pyconfig.Value) *config.Value {
	to := &config.Value{Text: v.Text, Origin: config.Origin{Name: v.Origin.File, Line: v.Origin.Line}}
	switch v.Kind {
	case pyconfig.Null:
		return nil
	case pyconfig.Bool:
		to.Kind, to.Bool = parse.Bool, v.Text == "true"
	case pyconfig.Int, pyconfig.Float:
		to.Kind = parse.Float
		if v.Kind == pyconfig.Int {
			to.Kind = parse.Int
		}
		to.Number, _ = strconv.ParseFloat(v.Text, 64)
	case pyconfig.List:
		to.Kind = parse.List
		for _, item := range v.Items {
			if one := asValue(item); one != nil {
				one.Origin = to.Origin
				to.List = append(to.List, one)
			}
		}
	case pyconfig.Table:
		to.Kind, to.Table = parse.Table, make(map[string]*config.Value, len(v.Entries))
		for _, e := range v.Entries {
			if member := asValue(e.Value); member != nil {
				to.Table[e.Key] = member
			}
		}
	}
	return to
}

// write writes the new file, and secrets beside it.
func (im *importer) write(l *config.Loaded, from []string) error {
	out := im.out
	if info, err := os.Stat(out); err == nil && info.IsDir() {
		out = filepath.Join(out, importedName)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "# made by fedmsg config import from %s\n\n", strings.Join(from, " "))
	const secret = "stomp_pass" // the only one that fedmsg 1.x had and we read
	if l.IsSet(secret) {
		beside := filepath.Join(filepath.Dir(out), secret)
		if out == "" {
			im.tell("left out", config.Problem{Origin: l.Origin(secret), Key: secret, Text: "is a secret; put it into a file of its own, and name that with " + secret + "_file"})
		} else {
			if err := im.create(beside, string(l.Password)+"\n"); err != nil {
				return err
			}
			im.tell("moved", config.Problem{Origin: l.Origin(secret), Key: secret, Text: "is in " + beside + " now"})
			l.Say(secret+"_file", beside)
		}
		l.Forget(secret)
	}
	if err := l.WriteTOML(&text, false, false); err != nil {
		return err
	}
	if out == "" {
		_, err := fmt.Fprint(im.Stdout, text.String())
		return err
	}
	if err := im.create(out, text.String()); err != nil {
		return err
	}
	_, err := fmt.Fprintf(im.Stderr, "wrote %s; look at it with: fedmsg config check --config %s\n", out, out)
	return err
}

// create makes a file for its owner alone.
func (im *importer) create(name, text string) error {
	flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if im.force {
		flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	f, err := os.OpenFile(name, flags, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return &fedmsg.HintError{Err: &fs.PathError{Op: "create", Path: name, Err: fs.ErrExist}, Hint: "--force writes over it"}
	}
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}
