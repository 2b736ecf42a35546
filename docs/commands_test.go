package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// subcommands lists the programs that documents may use, besides make and the programs and scripts of this repository, and their subcommands, if they have
// some.
var subcommands = map[string][]string{
	"argocd":    {"app"},
	"cosign":    {"generate-key-pair", "verify", "verify-blob"},
	"diff":      nil,
	"docker":    {"build", "push"},
	"flux":      {"reconcile"},
	"git":       {"revert"},
	"go":        {"build", "run", "test", "tool", "version"},
	"helm":      {"install", "rollback", "uninstall", "upgrade"},
	"kind":      {"create", "delete", "load"},
	"kustomize": {"build", "edit"},
	"kubectl": {
		"annotate", "apply", "create", "delete", "describe", "drain", "edit", "events", "explain", "expose", "get", "label", "logs", "patch", "replace",
		"port-forward", "rollout", "run", "scale", "set", "wait",
	},
	"sha256sum": nil,
	"skopeo":    {"copy", "inspect"},
}

var (
	target = regexp.MustCompile(`(?m)^([\w/.-]+):`)
	// inline matches a command in inline code, which begins with a known program.
	inline = regexp.MustCompile("`((?:[A-Z_]+=\\S+ )*(?:(?:make|bash|argocd|cosign|docker|flux|git|go|helm|kind|kubectl) [^`]*|(?:bin|hack)/[^`]*))`")
	// evaluated is a command with output that a shell evaluates.
	evaluated = regexp.MustCompile(`^eval "\$\((.*)\)"$`)
	// quoted words may have spaces.
	quoted     = regexp.MustCompile(`"[^"]*"|'[^']*'`)
	makeTarget = regexp.MustCompile(`^[a-z][a-z0-9./-]*$`)
)

// TestCommands: a command in a shell block or in inline code exists. config/pages_test.go runs those that need only an API server.
func TestCommands(t *testing.T) {
	targets := makeTargets(t)
	checked := 0
	for _, p := range pages(t) {
		for _, command := range commandsOf(p.text) {
			checked++
			if problem := problemOf(command, targets); problem != "" {
				t.Errorf("%s: %q: %s", p.path, command, problem)
			}
		}
	}
	if checked < 150 {
		t.Errorf("only %d commands were found", checked)
	}
}

func TestProblemOfCommand(t *testing.T) {
	targets := makeTargets(t)
	for command, fails := range map[string]bool{
		"make deploy IMG=a:1": false, "make depoly": true, `eval "$(make -s cluster-env)"`: false, `eval "$(make -s cluster-nev)"`: true,
		"kubectl get gapp": false, "kubectl gte gapp": true, "kubectl -n a get pods": false, "kubectl": false,
		"A=b kubectl get gapp": false, "A=b kubectl gte gapp": true,
		"helm --wait": false, "helm isntall": true, "podman build .": true,
		"go test ./docs": false, "go run -C test ./notfables": true, "go test ./...": false,
		"bin/lab render": false, "bin/bal render": true, "hack/deploy.sh": false, "hack/delpoy.sh": true, "bash .ci/run": false,
	} {
		if problem := problemOf(command, targets); fails != (problem != "") {
			t.Errorf("%s: fails %t, got %q", command, fails, problem)
		}
	}
}

func makeTargets(t *testing.T) []string {
	t.Helper()
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	var targets []string
	for _, m := range target.FindAllStringSubmatch(string(makefile), -1) {
		targets = append(targets, m[1])
	}
	return targets
}

func commandsOf(text string) []string {
	var commands []string
	add := func(line string) {
		for part := range strings.SplitSeq(line, "&&") {
			if part, _, _ = strings.Cut(part, " #"); strings.TrimSpace(part) != "" {
				commands = append(commands, strings.TrimSpace(part))
			}
		}
	}
	for _, m := range fence.FindAllStringSubmatch(text, -1) {
		for line := range strings.Lines(strings.ReplaceAll(m[2], "\\\n", " ")) {
			line = strings.TrimSpace(line)
			switch {
			case m[1] == "sh" && line != "" && !strings.HasPrefix(line, "#"):
				add(line)
			case m[1] == "console" && strings.HasPrefix(line, "$ "):
				add(line[2:])
			}
		}
	}
	for _, m := range inline.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		add(strings.ReplaceAll(m[1], "\n", " "))
	}
	return commands
}

func problemOf(command string, targets []string) string {
	command = evaluated.ReplaceAllString(command, "$1")
	words := strings.Fields(quoted.ReplaceAllString(command, "QUOTED"))
	for len(words) > 1 && strings.Contains(words[0], "=") && !strings.HasPrefix(words[0], "-") {
		words = words[1:] // environment
	}
	program, arguments := words[0], words[1:]
	switch {
	case program == "make":
		return problemOfMake(arguments, targets)
	case strings.HasPrefix(program, "bin/"):
		if !slices.Contains(targets, program) {
			return "the Makefile does not build " + program
		}
		return ""
	case program == "bash":
		return problemOfFile(arguments[len(arguments)-1])
	case strings.HasPrefix(program, "hack/"):
		return problemOfFile(program)
	}
	known, ok := subcommands[program]
	if !ok {
		return "an unknown program; add it to the table, or use another one"
	}
	if len(known) > 0 && len(arguments) > 0 && !strings.HasPrefix(arguments[0], "-") && !slices.Contains(known, arguments[0]) {
		return "an unknown subcommand of " + program
	}
	if program == "go" {
		return problemOfPackages(arguments)
	}
	return ""
}

func problemOfMake(arguments, targets []string) string {
	for _, word := range arguments {
		if !strings.HasPrefix(word, "-") && !strings.Contains(word, "=") && makeTarget.MatchString(word) && !slices.Contains(targets, word) {
			return "the Makefile has no target " + word
		}
	}
	return ""
}

// problemOfPackages checks the packages that a go command names. -C names the folder of another module.
func problemOfPackages(arguments []string) string {
	folder := ""
	for i, word := range arguments {
		if word == "-C" && i+1 < len(arguments) {
			folder = arguments[i+1]
		}
		if strings.HasPrefix(word, "./") {
			if problem := problemOfFile(filepath.Join(folder, strings.TrimSuffix(word, "..."))); problem != "" {
				return problem
			}
		}
	}
	return ""
}

func problemOfFile(file string) string {
	if _, err := os.Stat(filepath.Join(root, file)); err != nil {
		return file + " does not exist"
	}
	return ""
}
