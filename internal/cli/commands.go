// Package cli has the commands of the program loadgen, each a thin layer over a package of its own.
package cli

import (
	"github.com/opbeans/loadgen/internal/command"
	"github.com/opbeans/loadgen/internal/serve"
)

// Commands are those of the command line, in the order of the list.
func Commands() command.Program {
	return command.Program{
		serve.Command(),
		runCommand(),
		compareCommand(),
		reportCommand(),
		mergeCommand(),
		checkCommand(),
		sizeCommand(),
		workerCommand(),
		overheadCommand(),
		initCommand(),
		fromCommand(),
		completionCommand(),
	}
}
