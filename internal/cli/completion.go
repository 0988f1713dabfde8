package cli

import (
	"context"
	"flag"
	"fmt"
	"strings"

	"github.com/opbeans/loadgen/internal/command"
	"github.com/opbeans/loadgen/internal/textkit"
)

func completionCommand() *command.Command {
	return &command.Command{
		Name: "completion", Args: "bash|zsh|fish", Summary: "print a script that makes a shell complete commands and flags",
		Example: "loadgen completion bash > ~/.local/share/bash-completion/completions/loadgen",
		Run: func(_ context.Context, sys *command.System, args []string) error {
			shells := []string{"bash", "zsh", "fish"}
			if len(args) != 1 {
				return command.UsageErrorf("which shell? one of %s (see loadgen completion -h)", strings.Join(shells, ", "))
			}
			script := map[string]func([]*command.Command) string{"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion}[args[0]]
			if script == nil {
				return command.UsageErrorf("there is no completion for %q%s, only for %s", args[0], textkit.DidYouMean(args[0], shells), strings.Join(shells, ", "))
			}
			return command.Write(sys.Stdout, script(Commands().All()))
		},
	}
}

// words are what a command takes besides flags and files.
func words(c *command.Command, all []*command.Command) []string {
	switch c.Name {
	case "help":
		return names(all)
	case "completion", "from":
		choice, _, _ := strings.Cut(c.Args, " ")
		return strings.Split(choice, "|")
	}
	return nil
}

func names(all []*command.Command) []string {
	var out []string
	for _, c := range all {
		out = append(out, c.Name)
	}
	return out
}

// completedFlag is a flag as a shell needs it.
type completedFlag struct{ name, usage, arg string } // arg is "" if it takes no value

func completed(c *command.Command) []completedFlag {
	var out []completedFlag
	if c.Flags == nil {
		return nil
	}
	c.Flags.VisitAll(func(f *flag.Flag) {
		arg, usage := flag.UnquoteUsage(f)
		if b, ok := f.Value.(interface{ IsBoolFlag() bool }); ok && b.IsBoolFlag() {
			arg = ""
		} else if arg == "" {
			arg = "value"
		}
		out = append(out, completedFlag{f.Name, usage, arg})
	})
	return out
}

func bashCompletion(all []*command.Command) string {
	var b strings.Builder
	b.WriteString(`# bash completion of loadgen; source it, or put it where bash-completion looks
_loadgen() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} cmd=serve flags= takes= words= i
  for ((i = 1; i < COMP_CWORD; i++)); do
    if [[ ${COMP_WORDS[i]} != -* ]]; then cmd=${COMP_WORDS[i]}; break; fi
  done
  COMPREPLY=()
  if [[ $COMP_CWORD -eq 1 && $cur != -* ]]; then
`)
	fmt.Fprintf(&b, "    COMPREPLY=($(compgen -W %s -- \"$cur\"))\n    return\n  fi\n  case $cmd in\n", bashQuote(strings.Join(names(all), " ")))
	for _, c := range all {
		var flags, takes []string
		for _, f := range completed(c) {
			if flags = append(flags, "-"+f.name); f.arg != "" {
				takes = append(takes, "-"+f.name)
			}
		}
		fmt.Fprintf(&b, "    %s) flags=%s takes=%s words=%s ;;\n", c.Name,
			bashQuote(strings.Join(append(flags, "-h"), " ")), bashQuote(strings.Join(takes, " ")), bashQuote(strings.Join(words(c, all), " ")))
	}
	b.WriteString(`  esac
  if [[ $cur == -* ]]; then
    COMPREPLY=($(compgen -W "$flags" -- "$cur"))
  elif [[ " $takes " == *" $prev "* || -z $words || $prev == @(har|openapi|curl|molotov|postman) ]]; then
    COMPREPLY=($(compgen -f -- "$cur"))
  else
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
  fi
}
complete -o filenames -F _loadgen loadgen
`)
	return b.String()
}

func bashQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func zshCompletion(all []*command.Command) string {
	var b strings.Builder
	b.WriteString("#compdef loadgen\n# zsh completion of loadgen; put it as _loadgen into a folder of $fpath\n_loadgen() {\n  if (( CURRENT == 2 )) && [[ $words[2] != -* ]]; then\n    local -a commands=(\n")
	for _, c := range all {
		fmt.Fprintf(&b, "      %s\n", bashQuote(c.Name+":"+c.Summary))
	}
	b.WriteString("    )\n    _describe command commands\n    return\n  fi\n  local cmd=$words[2]\n  [[ $cmd == -* ]] && cmd=serve\n  case $cmd in\n")
	escape := strings.NewReplacer(`\`, `\\`, "[", `\[`, "]", `\]`, ":", `\:`)
	for _, c := range all {
		fmt.Fprintf(&b, "    %s) _arguments -C", c.Name)
		for _, f := range completed(c) {
			spec := "*-" + f.name + "[" + escape.Replace(f.usage) + "]"
			if f.arg != "" {
				spec += ":" + escape.Replace(f.arg) + ":_files"
			}
			b.WriteString(" \\\n      " + bashQuote(spec))
		}
		rest := "*:file:_files"
		if words := words(c, all); len(words) > 0 {
			rest = "2:word:(" + strings.Join(words, " ") + ")"
			b.WriteString(" \\\n      '1:command:'")
		}
		b.WriteString(" \\\n      " + bashQuote(rest) + " ;;\n")
	}
	b.WriteString("  esac\n}\n_loadgen \"$@\"\n")
	return b.String()
}

func fishCompletion(all []*command.Command) string {
	var b strings.Builder
	b.WriteString("# fish completion of loadgen; put it as loadgen.fish into ~/.config/fish/completions\n")
	for _, c := range all {
		fmt.Fprintf(&b, "complete -c loadgen -n __fish_use_subcommand -f -a %s -d %s\n", c.Name, fishQuote(c.Summary))
	}
	for _, c := range all {
		seen := fishQuote("__fish_seen_subcommand_from " + c.Name)
		if words := words(c, all); len(words) > 0 {
			fmt.Fprintf(&b, "complete -c loadgen -n %s -a %s\n", seen, fishQuote(strings.Join(words, " ")))
		}
		for _, f := range completed(c) {
			takes := ""
			if f.arg != "" {
				takes = " -r"
			}
			fmt.Fprintf(&b, "complete -c loadgen -n %s -o %s%s -d %s\n", seen, f.name, takes, fishQuote(f.usage))
		}
	}
	return b.String()
}

func fishQuote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(s) + "'"
}
