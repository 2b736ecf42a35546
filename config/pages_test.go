package config_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
)

// needsCluster are the subcommands of kubectl with a result that needs the operator, the controllers of Kubernetes or a node.
var needsCluster = []string{"get", "wait", "logs", "events", "rollout"}

var (
	console = regexp.MustCompile("(?ms)^```console\n(.*?)^```")
	prompt  = regexp.MustCompile(`(?m)^\$ `)
)

// pageCommand is a command of a page, with the output that the page shows.
type pageCommand struct{ line, output string }

// TestPagesShowTheOutput runs the commands of the pages that need only an API server, in their order, and compares the output with the page's.
// The app of a page is the sample, unless the page creates it itself.
func TestPagesShowTheOutput(t *testing.T) {
	setWebhook(t, admissionregistrationv1.Ignore)
	t.Chdir("..")
	for page, least := range map[string]int{
		"README.md": 2, "docs/getting-started.md": 12, "docs/how-to/scale.md": 2, "docs/how-to/autoscale.md": 1, "docs/how-to/roll-back.md": 3,
		"docs/how-to/upgrade.md": 2,
	} {
		t.Run(page, func(t *testing.T) {
			commands := commandsOf(t, page)
			if len(commands) < least {
				t.Errorf("want %d commands, got %v", least, commands)
			}
			if !strings.HasPrefix(commands[0].line, "kubectl apply -f config/samples/") {
				run(t, "kubectl apply -f config/samples/apps_v1alpha1_gracefulapp.yaml")
			}
			defer run(t, "kubectl delete gapp,hpa hello web --ignore-not-found")
			for _, command := range commands {
				if output := run(t, command.line); oneLine(output) != oneLine(command.output) {
					t.Errorf("$ %s\n%s\nThe page shows:\n%s", command.line, output, command.output)
				}
			}
		})
	}
}

func commandsOf(t *testing.T, page string) []pageCommand {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var all []pageCommand
	for _, block := range console.FindAllStringSubmatch(string(text), -1) {
		for _, part := range prompt.Split(block[1], -1) {
			line, output, _ := strings.Cut(part, "\n")
			words := strings.Fields(line)
			if len(words) > 1 && words[0] == "kubectl" && !slices.Contains(needsCluster, words[1]) {
				all = append(all, pageCommand{line, output})
			}
		}
	}
	return all
}

// run runs a line of a page in a shell and returns its output. A page may show an error, so the exit code does not count.
func run(t *testing.T, line string) string {
	t.Helper()
	config, err := user.KubeConfig()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), "bash", "-c", line)
	command.Env = append(os.Environ(), "KUBECONFIG="+file, "PATH="+os.Getenv("KUBEBUILDER_ASSETS")+":"+os.Getenv("PATH"))
	output, err := command.CombinedOutput()
	if err != nil && len(output) == 0 {
		t.Errorf("%s: %v", line, err)
	}
	return strings.ReplaceAll(string(output), `Invalid value: "object": `, "Invalid value: ") // Kubernetes 1.34 names the type of the value
}

// oneLine joins the lines of a text, because a page breaks long lines.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
