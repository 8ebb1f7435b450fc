package pyconfig

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/pyconfig/rewrite"
)

// Limits on what is read together.
const (
	maxFiles  = 1000
	maxValues = 200_000 // values in all files
	maxDepth  = 32      // tables and lists in one another
)

// Config says what the programs see of the world.
type Config struct {
	// Hostname is what socket.gethostname() gives. A file that asks for it is an
	// error if it is empty.
	Hostname string
	// FQDN is what socket.getfqdn() gives. Default: Hostname, and a note says so.
	FQDN string
	// Dir is the working directory of the program. Default: "/", and a note says so.
	Dir string
	// Environ are the environment variables. Those not here are not set, and a note
	// names each that was asked for.
	Environ map[string]string
}

// File is one file to read.
type File struct {
	Name string
	Text []byte // at most 1 MiB
}

// Files reads the *.py of a folder, in the order of their names. Hidden files and
// folders are left out.
func Files(folder fs.FS) ([]File, error) {
	entries, err := fs.ReadDir(folder, ".")
	if err != nil {
		return nil, fmt.Errorf("python configuration: %w", err)
	}
	var files []File
	for _, e := range entries {
		if e.IsDir() || strings.HasPrefix(e.Name(), ".") || !strings.HasSuffix(e.Name(), ".py") {
			continue
		}
		text, err := readFile(folder, e.Name())
		if err != nil {
			return nil, fmt.Errorf("python configuration: %w", err)
		}
		files = append(files, File{e.Name(), text})
	}
	return files, nil
}

// readFile reads a file, and one byte more than may be so that Read sees it.
func readFile(folder fs.FS, name string) ([]byte, error) {
	f, err := folder.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, rewrite.MaxFile+1))
}

// Read reads files and merges them in the given order.
//
// The error joins an [*Error] for every place that could not be read, and wraps
// [fedmsg.ErrInvalid]. Values and report are of the other files then.
func Read(files []File, cfg Config) (Value, Report, error) {
	if len(files) > maxFiles {
		return Value{}, Report{}, fmt.Errorf("python configuration: %d files: %w: at most %d", len(files), fedmsg.ErrInvalid, maxFiles)
	}
	values := Value{Kind: Table}
	var report Report
	var errs []error
	order := make(map[string]int, len(files))
	for i, f := range files {
		order[f.Name] = i
		r := newRun(f.Name, cfg)
		v := r.file(f.Text)
		report.Notes = append(report.Notes, r.notes...)
		for _, err := range r.errs {
			errs = append(errs, err)
		}
		if len(r.errs) > 0 || v.Kind != Table {
			continue
		}
		for _, e := range v.Entries {
			report.Notes = append(report.Notes, Note{Origin: e.Value.Origin, About: Taken, What: joinPath("", e.Key)})
		}
		values.merge(v)
	}
	count := 0
	values.walk("", func(string, Value) { count++ })
	if count > maxValues {
		errs = append(errs, fmt.Errorf("python configuration: %d values: %w: at most %d", count, fedmsg.ErrInvalid, maxValues))
	}
	report.secrets(values)
	report.sort(order)
	return values, report, errors.Join(errs...)
}

// file reads one file. A Null and no error is a file without a configuration.
func (r *run) file(src []byte) Value {
	text, problems := rewrite.File(src)
	for _, p := range problems {
		r.fail(p.Line, p.What, p.Do)
	}
	for _, s := range text.Skipped {
		why := ""
		if len(s.Sets) > 0 {
			why = "sets " + strings.Join(s.Sets, ", ")
		}
		r.note(s.Line, Skipped, "the statement "+s.What, why)
	}
	if len(problems) > 0 {
		return Value{}
	}
	globals := r.execute(text)
	if len(r.errs) > 0 {
		return Value{}
	}
	config, ok := globals["config"]
	if !ok {
		r.note(0, Warning, "no `config` is set", "the original refuses such a file")
		return Value{}
	}
	v, ok := r.convert(config, "", Origin{r.name, cmp.Or(r.configLine, 1)}, 0)
	if ok && v.Kind != Table && len(r.errs) == 0 {
		r.fail(r.configLine, "config is a "+v.Kind.String(), "make it a dictionary: config = dict(...)")
	}
	if !ok && len(r.errs) == 0 {
		r.fail(r.configLine, "config is not known", "what gives it is left out; set it to a dictionary")
	}
	slices.SortStableFunc(r.notes, func(a, b Note) int { return a.Line - b.Line })
	return v
}
