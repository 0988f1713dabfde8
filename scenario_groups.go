package loadgen

import (
	"slices"

	"github.com/opbeans/loadgen/internal/scenariofile"
)

// groupNames are the groups that a scenario has. It knows them all only if every task
// and hook is from a file: a function may begin groups of any name.
func (s *Scenario) groupNames() (names []string, all bool) {
	all = true
	add := func(y *scenariofile.Task) {
		if y == nil {
			all = false
			return
		}
		names = y.AddGroups(names)
	}
	for i := range s.tasks {
		add(s.tasks[i].yaml)
	}
	for _, h := range s.hooks {
		if h != nil {
			add(h.yaml)
		}
	}
	return names, all
}

// lacksGroup says so if a scenario has no such group.
func (s *Scenario) lacksGroup(name string) (hint string, lacks bool) {
	names, all := s.groupNames()
	if !all || slices.Contains(names, name) {
		return "", false
	}
	return scenariofile.GroupHint(name, names), true
}
