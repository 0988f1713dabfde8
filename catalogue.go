package loadgen

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/opbeans/loadgen/internal/scenariofile"
	"github.com/opbeans/loadgen/internal/textkit"
)

// MaxScenarioSize is the largest scenario file in bytes.
const MaxScenarioSize = scenariofile.MaxFileSize // 1 MiB

// Catalogue finds scenarios by name in folders of YAML files: NAME.yaml (or
// NAME.yml) at the top of a folder is the scenario NAME. Where two folders have
// one of the same name, the later folder's counts, whether or not it parses.
//
// Files are read at each call, so that a new or changed one counts at once; one whose
// text is as before is not parsed again. A Catalogue is safe for concurrent use if its
// folders are.
type Catalogue struct {
	folders []fs.FS

	mu     sync.Mutex
	parsed map[string]parsedFile // by the scenario's name
}

// parsedFile is what has come of a text, so that jobs of one scenario share it. The
// text is known by its hash: times and sizes of files miss changes, and an embedded
// file has no time.
type parsedFile struct {
	file     string
	hash     [sha256.Size]byte
	scenario *Scenario // to be cloned
	err      error
}

// NewCatalogue returns a catalogue over the given folders.
func NewCatalogue(folders ...fs.FS) *Catalogue { return &Catalogue{folders: folders} }

// ScenarioInfo describes one file of a [Catalogue].
type ScenarioInfo struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	// File is the file's name within its folder.
	File string `json:"file"`
	// Err says why the file cannot be used, or is nil. For a file that does not
	// parse it is a [*ScenarioError].
	Err error `json:"-"`
}

// entry is where a scenario's file is.
type entry struct {
	folder fs.FS
	file   string
	python bool // a file of Molotov, which is listed with the advice to convert it
}

// List reads all scenario files and describes them, ordered by name. One that
// cannot be read or does not parse is listed with its error. A folder that
// cannot be read has no files.
func (c *Catalogue) List() []ScenarioInfo {
	entries, _ := c.find()
	infos := make([]ScenarioInfo, 0, len(entries))
	for name, e := range entries {
		info := ScenarioInfo{Name: name, File: e.file}
		if s, err := c.load(name, e); err != nil {
			info.Err = err
		} else {
			info.Description = s.Description()
		}
		infos = append(infos, info)
	}
	c.forget(entries)
	slices.SortFunc(infos, func(a, b ScenarioInfo) int { return cmp.Compare(a.Name, b.Name) })
	return infos
}

// Load reads and parses the scenario of a name. The error wraps
// [ErrScenarioNotFound] if there is none, which then lists those there are; it is
// a [*ScenarioError] if the file does not parse.
func (c *Catalogue) Load(name string) (*Scenario, error) {
	e, err := c.lookup(name)
	if err != nil {
		return nil, err
	}
	s, err := c.load(name, e)
	if err != nil {
		return nil, err
	}
	return s.clone(), nil
}

// Source returns the text of the scenario file of a name, whether or not it
// parses. The error wraps [ErrScenarioNotFound] if there is none.
func (c *Catalogue) Source(name string) ([]byte, error) {
	e, err := c.lookup(name)
	if err != nil {
		return nil, err
	}
	return e.read()
}

// lookup finds the file of a name. A name is looked up among those that the
// folders list, and never made into a path: "../x" is just not there.
func (c *Catalogue) lookup(name string) (entry, error) {
	entries, err := c.find()
	if e, ok := entries[name]; ok {
		return e, nil
	}
	names := slices.Sorted(maps.Keys(entries))
	msg := "there are none"
	if len(names) > 0 {
		msg = "there are " + strings.Join(names, ", ")
	}
	if err != nil {
		msg += "; " + err.Error()
	}
	return entry{}, fmt.Errorf("%w: %q%s; %s", ErrScenarioNotFound, textkit.Shorten(name), textkit.DidYouMean(name, names), msg)
}

// find lists the files of all folders by the name of their scenario. The error
// is about folders that cannot be read; the others count all the same.
func (c *Catalogue) find() (map[string]entry, error) {
	var errs []error
	entries, python := map[string]entry{}, map[string]entry{}
	for _, folder := range c.folders {
		files, err := fs.ReadDir(folder, ".")
		if err != nil {
			errs = append(errs, fmt.Errorf("a folder of scenarios cannot be read: %w", err))
		}
		here := map[string]string{}
		for _, f := range files {
			name, ok := scenarioName(f.Name())
			if !ok || f.IsDir() {
				continue
			}
			// ReadDir sorts, so that of NAME.yaml and NAME.yml the first counts.
			if _, twice := here[name]; !twice {
				here[name] = f.Name()
				entries[name] = entry{folder: folder, file: f.Name()}
			}
		}
		for _, f := range files {
			if name, ok := pythonName(f.Name()); ok && !f.IsDir() {
				python[name] = entry{folder: folder, file: f.Name(), python: true}
			}
		}
	}
	for name, e := range python {
		if _, taken := entries[name]; taken {
			name = e.file
		}
		if src, err := e.read(); err == nil && bytes.Contains(src, []byte("molotov")) {
			entries[name] = e
		}
	}
	return entries, errors.Join(errs...)
}

// scenarioName is the name of the scenario in a file, if it holds one. Hidden
// files, such as those of editors, do not.
func scenarioName(file string) (string, bool) {
	ext := path.Ext(file)
	name := strings.TrimSuffix(file, ext)
	ok := (ext == ".yaml" || ext == ".yml") && name != "" && name[0] != '.' && len(name) <= MaxNameLen &&
		!strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || r == '/' || r == '\\' || r == '\uFFFD' })
	return name, ok
}

// pythonName is the name that a file of Python has in the catalogue, if it may be one of
// Molotov.
func pythonName(file string) (string, bool) {
	if stem, ok := strings.CutSuffix(file, ".py"); ok && !strings.HasPrefix(stem, "_") {
		return scenarioName(stem + ".yaml")
	}
	return "", false
}

// load returns the scenario of an entry. It is shared, and not to be changed.
func (c *Catalogue) load(name string, e entry) (*Scenario, error) {
	if e.python {
		return nil, &ScenarioError{File: e.file, Errors: []SourceError{{Line: 1, Column: 1, Message: fmt.Sprintf(
			"this is a file of Molotov in Python; make a scenario of it: loadgen from molotov %s -o %s.yaml", e.file, strings.TrimSuffix(e.file, ".py"))}}}
	}
	src, err := e.read()
	if err != nil {
		return nil, err
	}
	hash := sha256.Sum256(src)
	c.mu.Lock()
	p, ok := c.parsed[name]
	c.mu.Unlock()
	if ok && p.file == e.file && p.hash == hash {
		return p.scenario, p.err
	}
	p = parsedFile{file: e.file, hash: hash}
	var alone bool
	p.scenario, alone, p.err = parseText(name, e.file, e.file, e.folder, src)
	if !alone {
		return p.scenario, p.err // other files may change, and this text would not
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.parsed == nil {
		c.parsed = map[string]parsedFile{}
	}
	c.parsed[name] = p
	return p.scenario, p.err
}

// forget drops what was parsed of files that are not there any more.
func (c *Catalogue) forget(present map[string]entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.DeleteFunc(c.parsed, func(name string, _ parsedFile) bool {
		_, ok := present[name]
		return !ok
	})
}

// read returns the file's text, and no more of it than a scenario may have.
func (e entry) read() ([]byte, error) {
	// Looked at before it is opened, because opening a named pipe would wait.
	if info, err := fs.Stat(e.folder, e.file); err != nil {
		return nil, fmt.Errorf("scenario file: %w", err)
	} else if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("scenario file %s is not a regular file", e.file)
	}
	f, err := e.folder.Open(e.file)
	if err != nil {
		return nil, fmt.Errorf("scenario file: %w", err)
	}
	defer f.Close()
	src, err := io.ReadAll(io.LimitReader(f, MaxScenarioSize+1))
	if err != nil {
		return nil, fmt.Errorf("scenario file: %w", err)
	}
	if len(src) > MaxScenarioSize {
		return nil, fmt.Errorf("scenario file %s is larger than %d bytes", e.file, MaxScenarioSize)
	}
	return src, nil
}
