package cli

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/command"
	"github.com/opbeans/loadgen/internal/convert"
	"github.com/opbeans/loadgen/internal/textkit"
)

//go:embed starter.yaml
var starter string

func initCommand() *command.Command {
	return &command.Command{
		Name: "init", Args: "[FILE]", Summary: "write a commented scenario file to begin with",
		Example: "loadgen init shop.yaml",
		Run: func(_ context.Context, sys *command.System, args []string) error {
			file := "scenario.yaml"
			switch {
			case len(args) > 1:
				return command.UsageErrorf("one file at a time: unexpected argument %q (see loadgen init -h)", args[1])
			case len(args) == 1:
				file = args[0]
			}
			return put(sys, file, []byte(starter), "edit it, then: loadgen check "+file)
		},
	}
}

// put writes a scenario into a new file, or to standard output for "-".
func put(sys *command.System, file string, text []byte, next string) error {
	if file == "-" {
		_, err := sys.Stdout.Write(text)
		return err
	}
	if !strings.HasSuffix(file, ".yaml") && !strings.HasSuffix(file, ".yml") {
		return command.UsageErrorf("the file of a scenario ends in .yaml, unlike %s", file)
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return command.UsageErrorf("%s is there already, and stays as it is", file)
	}
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, bytes.NewReader(text)); err != nil {
		_ = f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return command.Write(sys.Stdout, fmt.Sprintf("wrote %s; %s\n", file, next))
}

// kinds are what from reads.
func kinds() []string { return []string{"har", "openapi", "curl", "molotov", "postman"} }

func fromCommand() *command.Command {
	var o convert.Options
	out := "-"
	fs := command.NewFlags()
	fs.StringVar(&out, "o", "-", "`FILE` to write, which must not be there; - is standard output")
	command.BoolVar(fs, &o.Secrets, "secrets", false, "write secrets into the file, instead of taking them from the environment")
	command.BoolVar(fs, &o.Static, "static", false, "har: also images, styles, scripts and fonts")
	command.BoolVar(fs, &o.Hosts, "hosts", false, "har: also requests to other hosts than the one that most go to")
	command.BoolVar(fs, &o.All, "all", false, "openapi: give weight also to what may change data")
	command.BoolVar(fs, &o.Flow, "flow", false, "curl, postman: make one task of all requests, a step each")
	return &command.Command{
		Name: "from", Args: strings.Join(kinds(), "|") + " FILE", Summary: "make a scenario of a recording, an API description, curl commands, or a Molotov or Postman file",
		Flags:   fs,
		Example: "loadgen from har recording.har -o shop.yaml",
		More:    "FILE may be - for standard input, and for curl the command itself, in quotes.\nmolotov needs Python 3, which reads FILE and runs nothing of it.\n",
		Run: func(ctx context.Context, sys *command.System, args []string) error {
			if len(args) < 2 {
				return command.UsageErrorf("what to read is missing: %s and a FILE (see loadgen from -h)", strings.Join(kinds(), ", "))
			}
			if len(args) > 2 {
				return command.UsageErrorf("unexpected argument %q (see loadgen from -h)", args[2])
			}
			return from(ctx, sys, args[0], args[1], out, o)
		},
	}
}

func from(ctx context.Context, sys *command.System, kind, file, out string, o convert.Options) error {
	read := map[string]func([]byte, convert.Options) (*convert.Scenario, error){
		"har": convert.HAR, "openapi": convert.OpenAPI,
		"curl":    func(src []byte, o convert.Options) (*convert.Scenario, error) { return convert.Curl(string(src), o) },
		"postman": convert.Postman,
		"molotov": func(src []byte, o convert.Options) (*convert.Scenario, error) { return convert.Molotov(ctx, src, o) },
	}[kind]
	if read == nil {
		return command.UsageErrorf("cannot read %q%s, only %s", kind, textkit.DidYouMean(kind, kinds()), strings.Join(kinds(), ", "))
	}
	src, err := source(sys, kind, file)
	if err != nil {
		return err
	}
	if o.Source = file; kind == "curl" && isCommand(file) {
		o.Source = "a curl command"
	}
	s, err := read(src, o)
	if err != nil {
		return fmt.Errorf("%s: %w", o.Source, err)
	}
	text, err := s.YAML()
	if err != nil {
		return err
	}
	// It is our own mistake if this is no scenario, and better said here than later.
	if err := usable(s, text); err != nil {
		return fmt.Errorf("%s: what was made of it cannot be used: %w", o.Source, err)
	}
	if s.Left > 0 {
		if _, err := fmt.Fprintf(sys.Stderr, "not converted: %d; each is a comment in the file\n", s.Left); err != nil {
			return err
		}
	}
	next := "loadgen check " + out + " -try"
	if s.BaseURL != "" {
		next += " -url " + s.BaseURL
	}
	return put(sys, out, text, "try it: "+next)
}

// usable loads a scenario from a folder of its own, with the files that it names.
func usable(s *convert.Scenario, text []byte) error {
	folder, err := os.MkdirTemp("", "loadgen-from-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	files := map[string][]byte{"made.yaml": text}
	for _, name := range s.Files() {
		files[name] = nil
	}
	for name, content := range files {
		path := filepath.Join(folder, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return err
		}
	}
	_, err = loadgen.LoadScenario(os.DirFS(folder), "made.yaml")
	return err
}

func isCommand(arg string) bool {
	arg = strings.TrimSpace(arg)
	return strings.HasPrefix(arg, "curl ") || strings.HasPrefix(arg, "curl.exe ")
}

// source reads the input of from.
func source(sys *command.System, kind, file string) ([]byte, error) {
	if kind == "curl" && isCommand(file) {
		return []byte(file), nil
	}
	in := sys.Stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil && kind == "curl" {
			err = fmt.Errorf("%w; a curl command itself begins with curl, and is one argument, in quotes", err)
		}
		if err != nil {
			return nil, command.UsageErrorf("%w", err)
		}
		defer func() { _ = f.Close() }() // it was only read
		in = f
	}
	src, err := io.ReadAll(io.LimitReader(in, convert.MaxInput+1))
	switch {
	case err != nil:
		return nil, command.UsageErrorf("%w", err)
	case len(src) > convert.MaxInput:
		return nil, command.UsageErrorf("%s is larger than %d MiB", file, convert.MaxInput>>20)
	}
	return src, nil
}
