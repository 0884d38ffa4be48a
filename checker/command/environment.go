package command

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"relcheck/checker/printable"
)

// variable returns the name of a flag's environment variable.
func variable(flag string) string {
	return "RELCHECK_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// byEnvironment is the annotation of a flag that the environment has set.
const byEnvironment = "byEnvironment"

// fromEnvironment sets flags that are not on the command line from the environment.
func fromEnvironment(cmd *cobra.Command) error {
	if cmd.Annotations[noEnvironment] != "" {
		return nil
	}
	var err error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		value := os.Getenv(variable(f.Name))
		if f.Changed || f.Name == "help" || value == "" || err != nil {
			return
		}
		if e := cmd.Flags().Set(f.Name, value); e != nil {
			err = usageError("%s=%s: %w", variable(f.Name), value, e)
		}
		cmd.Flags().SetAnnotation(f.Name, byEnvironment, []string{"true"})
	})
	return err
}

// clientVariables are the variables of relcheck's own client, see [checker.Client].
var clientVariables = []string{"RELCHECK_TELEMETRY_SERVICE_URL", "RELCHECK_DISABLE_TELEMETRY"}

// kubernetesVariable matches the variables that Kubernetes sets in every container for a
// Service whose name is relcheck or begins with it.
var kubernetesVariable = regexp.MustCompile(`^RELCHECK_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)=|^RELCHECK_(\w+_)?PORT=\w+://`)

// unknownVariables describes the RELCHECK_ variables that belong to no flag, with the one
// that is probably meant.
func unknownVariables(root *cobra.Command) (all []string) {
	known := map[string]bool{}
	for _, name := range clientVariables {
		known[name] = true
	}
	flagVariables(root, known)
	for _, set := range os.Environ() {
		name, _, _ := strings.Cut(set, "=")
		if !strings.HasPrefix(name, "RELCHECK_") || known[name] || kubernetesVariable.MatchString(set) {
			continue
		}
		text := name + " belongs to no flag: correct or unset it"
		if found := printable.Nearest(name, slices.Sorted(maps.Keys(known))); found != "" {
			text = name + " belongs to no flag: did you mean " + found + "?"
		}
		all = append(all, text)
	}
	return all
}

func flagVariables(c *cobra.Command, known map[string]bool) {
	if c.Annotations[noEnvironment] == "" {
		c.Flags().VisitAll(func(f *pflag.Flag) { known[variable(f.Name)] = true })
	}
	for _, sub := range c.Commands() {
		flagVariables(sub, known)
	}
}

// requireFlags returns an error if a flag is set that has no effect without another one. Each
// pair is such a flag and the one that it needs. The environment may set flags for several
// commands, so that such a flag is only a warning.
func requireFlags(c *cobra.Command, pairs ...[2]string) (warnings []string, err error) {
	for _, pair := range pairs {
		f, needs := c.Flags().Lookup(pair[0]), c.Flags().Lookup(pair[1])
		switch {
		case !f.Changed || f.Value.String() == "false" || needs.Value.String() != needs.DefValue:
		case f.Annotations[byEnvironment] != nil:
			warnings = append(warnings, fmt.Sprintf("%s has no effect without --%s or %s", variable(f.Name), needs.Name, variable(needs.Name)))
		default:
			return nil, usageError("--%s has no effect without --%s: add that flag, or remove --%[1]s", f.Name, needs.Name)
		}
	}
	return warnings, nil
}
