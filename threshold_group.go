package loadgen

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// checkGroup finds what is wrong with the label group of a threshold.
func (t *Threshold) checkGroup(m *metric) error {
	switch {
	case t.Task != "":
		return errors.New("a group is measured in whichever tasks it is: take one of the labels task and group")
	case m.kind != metricShare && (m.kind != metricTime || m.ofJob || strings.HasPrefix(m.name, "service.")):
		return fmt.Errorf("%s takes no label group: of a group there are min, mean, max, percentiles such as p99, and error_rate", t.Metric)
	case len(t.Group) > MaxNameLen:
		return fmt.Errorf("the name of the group must be at most %d bytes long", MaxNameLen)
	}
	return nil
}

// findGroup is what was measured of a group; nil if nothing.
func findGroup(groups []GroupSnapshot, name string) *GroupSnapshot {
	at := slices.IndexFunc(groups, func(g GroupSnapshot) bool { return g.Group == name })
	if at < 0 || groups[at].Count == 0 {
		return nil
	}
	return &groups[at]
}

// observeGroup is observe for a group.
func (m *metric) observeGroup(s *Snapshot, name string) observation {
	g := findGroup(s.Groups, name)
	if g == nil {
		return observation{}
	}
	if m.kind == metricTime {
		return m.time(&g.Time)
	}
	x := share(g.Failed, g.Count)
	return observation{value: x, low: x, samples: g.Count, known: true}
}

// unmeasured says that a group was not measured, and which were.
func unmeasured(name string, groups []GroupSnapshot) string {
	var names []string
	for i := range groups {
		if groups[i].Count > 0 {
			names = append(names, groups[i].Group)
		}
	}
	text := fmt.Sprintf("no group %q was measured", abbreviate(name))
	switch {
	case len(names) == 0:
		return text + ", nor any other"
	case slices.Contains(names, otherGroups):
		return text + fmt.Sprintf(" on its own: those beyond %d share the entry %q", maxGroups, otherGroups)
	}
	if hint := didYouMean(name, names); hint != "" {
		return text + hint
	}
	const most = 10
	list := strings.Join(names[:min(len(names), most)], ", ")
	if len(names) > most {
		list += ", …"
	}
	return text + "; there were " + list
}

// groupNames are the groups that a scenario has. It knows them all only if every task
// and hook is from a file: a function may begin groups of any name.
func (s *Scenario) groupNames() (names []string, all bool) {
	all = true
	add := func(y *yamlTask) {
		if y == nil {
			all = false
			return
		}
		for i := range y.steps {
			if name := y.steps[i].group; name != "" && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
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
	if hint = didYouMean(name, names); hint == "" {
		hint = listOf("; there are ", names)
	}
	return hint, true
}
