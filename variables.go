package loadgen

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/opbeans/loadgen/internal/fault"
	"github.com/opbeans/loadgen/internal/textkit"
)

const maxVariableLen = 64 << 10 // bytes of a job's value for a variable

// standardDefault is the default of a standard variable that a scenario does not
// declare; name is the first of its row in [StandardVariables].
func standardDefault(name string) any {
	switch name {
	case "SERVICE_NAME":
		return "default"
	case "ERROR_WEIGHT", "APP_LATENCY_WEIGHT":
		return 0.0
	case "APP_LATENCY_LABEL":
		return "dyno_latency"
	case "APP_LATENCY_LOWER_BOUND":
		return int64(1)
	case "APP_LATENCY_UPPER_BOUND":
		return int64(1000)
	case "APP_LATENCY_USER_AGENT":
		return "Safari/531.21.10"
	}
	return ""
}

// standardRow returns the row of [StandardVariables] that holds a name, or nil.
func standardRow(name string) []string {
	for _, row := range StandardVariables() {
		if slices.Contains(row, name) {
			return row
		}
	}
	return nil
}

// normalize turns a default into a string, bool, int64 or float64. What cannot be
// stays as it is, and bind reports it.
func normalize(def any) any {
	v := reflect.ValueOf(def)
	switch {
	case !v.IsValid():
		return def
	case v.Kind() == reflect.String:
		return v.String()
	case v.Kind() == reflect.Bool:
		return v.Bool()
	case v.CanInt():
		return v.Int()
	case v.CanUint() && v.Uint() <= math.MaxInt64:
		return int64(v.Uint())
	case v.CanUint(), v.Kind() == reflect.Float64:
		return v.Convert(reflect.TypeFor[float64]()).Float()
	case v.Kind() == reflect.Float32:
		// The decimal that was written, not its binary neighbour: 0.1, not 0.10000000149.
		f, _ := strconv.ParseFloat(strconv.FormatFloat(v.Float(), 'g', -1, 32), 64)
		return f
	}
	return def
}

// effectiveDefault is the default of a declared variable in the type that its
// values have. A weight arrives with a fraction from sliders, so that a standard
// weight declared as 0 must still take 7.5.
func effectiveDefault(v Variable) any {
	row := standardRow(v.Name)
	if row == nil {
		return v.Default
	}
	if n, ok := v.Default.(int64); ok {
		if _, fraction := standardDefault(row[0]).(float64); fraction {
			return float64(n)
		}
	}
	return v.Default
}

// checkVariable says what is wrong with the declaration of a variable, or "".
func checkVariable(v Variable) string {
	if v.Name == "" {
		return "a variable needs a name"
	}
	switch d := v.Default.(type) {
	case string, bool, int64:
	case float64:
		if math.IsNaN(d) || math.IsInf(d, 0) {
			return "the default must be a finite number"
		}
	default:
		return fmt.Sprintf("the default must be a string, bool or number, not %T", v.Default)
	}
	row := standardRow(v.Name)
	if row == nil {
		return ""
	}
	want := standardDefault(row[0])
	if have := effectiveDefault(v); reflect.TypeOf(have) != reflect.TypeOf(want) {
		if _, integer := want.(int64); !integer || reflect.TypeOf(have).Kind() != reflect.Float64 {
			return fmt.Sprintf("%s is a standard variable: its default must be %s", v.Name, typeWord(want))
		}
	}
	return ""
}

// typeWord names the type of a variable for people.
func typeWord(def any) string {
	switch def.(type) {
	case string:
		return "text"
	case bool:
		return "true or false"
	case int64, int:
		return "a whole number"
	case float64:
		return "a number"
	}
	return fmt.Sprintf("a %T", def)
}

// convert reads a value for a variable with a default of this type.
func convert(text string, def any) (any, error) {
	if len(text) > maxVariableLen {
		return nil, fmt.Errorf("must be at most %d bytes long, not %d", maxVariableLen, len(text))
	}
	trimmed := strings.TrimSpace(text)
	switch def.(type) {
	case string:
		return text, nil
	case bool:
		if b, err := strconv.ParseBool(trimmed); err == nil {
			return b, nil
		}
	case float64:
		if f, err := strconv.ParseFloat(trimmed, 64); err == nil && !math.IsNaN(f) && !math.IsInf(f, 0) {
			return f, nil
		}
	case int64:
		if n, err := strconv.ParseInt(trimmed, 10, 64); err == nil {
			return n, nil
		}
		// Senders that know only floating point write 420 as 420.0 or 4.2e2.
		if f, err := strconv.ParseFloat(trimmed, 64); err == nil && f == math.Trunc(f) && math.Abs(f) <= textkit.MaxExactFloat {
			return int64(f), nil
		}
	}
	return nil, fmt.Errorf("must be %s, not %q", typeWord(def), textkit.Shorten(text))
}

// resolve gives every variable its value for one job: its own value, else that of
// the environment for names that the scenario declares, else the default. Names
// that mean the same share one value. Whole numbers are int in the result, which
// is what expressions compute with.
func (s *Scenario) resolve(cfg *JobConfig, lookupEnv func(string) (string, bool)) (map[string]any, fault.List) {
	var f fault.List
	vars := map[string]any{}
	for _, row := range StandardVariables() {
		s.resolveRow(row, cfg, lookupEnv, vars, &f)
	}
	for _, v := range s.variables {
		if standardRow(v.Name) == nil {
			s.resolveRow([]string{v.Name}, cfg, lookupEnv, vars, &f)
		}
	}
	for _, name := range textkit.SortedKeys(cfg.Variables) {
		if _, known := vars[name]; known {
			continue
		}
		if slices.Contains(s.secrets, name) {
			f.Add("variables."+name, "is a secret, which only the environment can set: a job's variables are shown")
			continue
		}
		f.Add("variables."+name, "%s", s.unknownVariable(name))
	}
	return vars, f
}

// resolveRow resolves the variables that share one value.
func (s *Scenario) resolveRow(row []string, cfg *JobConfig, lookupEnv func(string) (string, bool), vars map[string]any, f *fault.List) {
	def := standardDefault(row[0])
	declared := false
	for _, v := range s.variables {
		if slices.Contains(row, v.Name) && checkVariable(v) == "" {
			def, declared = effectiveDefault(v), true
		}
	}
	value := def
	if b, ok := configured(row[0], cfg); ok {
		value = b
	} else if declared && lookupEnv != nil {
		for _, name := range row {
			text, ok := lookupEnv(name)
			if !ok || text == "" { // compose files set what is not given to ""
				continue
			}
			v, err := convert(text, def)
			if err != nil {
				f.Add("variables."+name, "the value from the environment %v", err)
			} else {
				value = v
			}
			break
		}
	}
	given := ""
	for _, name := range row {
		text, ok := cfg.Variables[name]
		if !ok {
			continue
		}
		if given != "" && cfg.Variables[given] != text {
			f.Add("variables."+name, "means the same as %s, so that they cannot have two values", given)
			break
		}
		given = name
		v, err := convert(text, def)
		if err != nil {
			f.Add("variables."+name, "%v", err)
			break
		}
		value = v
	}
	if n, ok := value.(int64); ok {
		value = int(n)
	}
	for _, name := range row {
		vars[name] = value
	}
}

// configured is the value of a variable that the job's configuration itself holds.
// A service name of "default" is the same as none.
func configured(name string, cfg *JobConfig) (string, bool) {
	switch name {
	case "SERVER_URL":
		return cfg.BaseURL, cfg.BaseURL != ""
	case "SERVICE_NAME":
		return cfg.ServiceName, cfg.ServiceName != "" && cfg.ServiceName != "default"
	}
	return "", false
}

// unknownVariable explains that a job sets what the scenario does not have.
func (s *Scenario) unknownVariable(name string) string {
	var declared, all []string
	for _, v := range s.variables {
		declared = append(declared, v.Name)
	}
	all = append(all, declared...)
	for _, row := range StandardVariables() {
		all = append(all, row...)
	}
	msg := "scenario " + strconv.Quote(s.name) + " has no such variable" + textkit.DidYouMean(name, all)
	if len(declared) == 0 {
		return msg + "; it declares none"
	}
	return msg + "; it declares " + strings.Join(declared, ", ")
}
