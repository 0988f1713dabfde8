package main

// commands are those of the command line, in the order of the list.
func commands() program {
	return program{
		serveCommand(),
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
