package feed

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/opbeans/loadgen/internal/escape"
	"github.com/opbeans/loadgen/internal/textkit"
)

// maxLinks is how many symbolic links the path of a file may lead over.
const maxLinks = 40

var (
	errNoFolder = errors.New("this scenario was not read from a folder, so there is none to look for the file in")
	errOutside  = errors.New("a symbolic link leads out of the scenario's folder")
)

// checkFileName says what is wrong with the name of a file in a scenario's folder,
// or "".
func checkFileName(name string) string {
	if !fs.ValidPath(name) || name == "." || strings.ContainsAny(name, "\\:") || escape.HasControl(name) {
		return fmt.Sprintf("expected a file in the scenario's folder, such as data/users.csv, with / and without .., found %q", textkit.Shorten(name))
	}
	return ""
}

// openIn opens a regular file of a scenario's folder. What lies outside stays out of
// reach: names do not climb, and links are followed only within the folder.
func openIn(folder fs.FS, name string) (fs.File, fs.FileInfo, error) {
	if folder == nil {
		return nil, nil, errNoFolder
	}
	if msg := checkFileName(name); msg != "" {
		return nil, nil, errors.New(msg)
	}
	name, info, err := followLinks(folder, name)
	if err != nil {
		return nil, nil, plainPathError(err)
	}
	if !info.Mode().IsRegular() { // opening a named pipe would wait
		return nil, nil, errors.New("it is not a regular file")
	}
	f, err := folder.Open(name)
	if err != nil {
		return nil, nil, plainPathError(err)
	}
	if info, err = f.Stat(); err != nil {
		_ = f.Close()
		return nil, nil, plainPathError(err)
	}
	return f, info, nil
}

// followLinks returns the name without links of a file, and what it is.
func followLinks(folder fs.FS, name string) (string, fs.FileInfo, error) {
	var info fs.FileInfo
	at, todo := ".", strings.Split(name, "/")
	for links := 0; len(todo) > 0; {
		next := path.Join(at, todo[0])
		todo = todo[1:]
		var err error
		if info, err = fs.Lstat(folder, next); err != nil {
			return "", nil, err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			at = next
			continue
		}
		if links++; links > maxLinks {
			return "", nil, errors.New("too many symbolic links")
		}
		to, err := fs.ReadLink(folder, next)
		if err != nil {
			return "", nil, err
		}
		to = strings.ReplaceAll(to, "\\", "/")
		full := path.Join(at, to)
		if path.IsAbs(to) || strings.Contains(to, ":") || !fs.ValidPath(full) || full == "." {
			return "", nil, errOutside
		}
		at, todo = ".", append(strings.Split(full, "/"), todo...)
	}
	return at, info, nil
}

// ReadIn reads a file of a scenario's folder, at most so many bytes.
func ReadIn(folder fs.FS, name string, most int64) ([]byte, error) {
	f, _, err := openIn(folder, name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, plainPathError(err)
	}
	if int64(len(data)) > most {
		return nil, fmt.Errorf("it is larger than %d bytes", most)
	}
	return data, nil
}

// plainPathError leaves out the name that the caller says anyway.
func plainPathError(err error) error {
	var pe *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("there is no such file in the scenario's folder")
	case errors.As(err, &pe):
		return pe.Err
	}
	return err
}
