package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/load"
	"github.com/gracefulapp/gracefulapp/test/lab/report"
	"github.com/gracefulapp/gracefulapp/test/testbed"
)

// plainArgs make of a recipe's image the server that its users have without us: without the drain contract, as a first deployment starts it.
// A recipe that is not named has nothing in its image that its users do not have.
var plainArgs = map[string][]string{
	"grpc":     {"-plain"},
	"jvm":      {"plain"},
	"node":     {"/srv/plain.js"},
	"gunicorn": {"--bind=0.0.0.0:8080", "--workers=2", "--threads=32", "--worker-tmp-dir=/tmp"},
}

// recipeProfile: the servers start within a second or two, and nothing but time tells when a plain one listens.
var recipeProfile = profile{name: "recipe", startSeconds: 3, requestSeconds: 1}

// recipeClients leave two cores room for a server twice, of which one may be a JVM or Python. A client of gRPC keeps few connections, and its calls share them.
var recipeClients = []clientKind{
	{name: "new", rate: 40, mode: load.NewConnection, query: "/?seconds=0", plain: true},
	{name: "slow", rate: 20, mode: load.NewConnection, query: "/?seconds=%d", plain: true},
	{name: "keep-alive", rate: 80, mode: load.KeepAlive, query: "/?seconds=0"},
	{name: "slow keep-alive", rate: 10, mode: load.KeepAlive, query: "/?seconds=%d", conns: 10},
	{name: "gRPC", rate: 80, mode: load.GRPC, query: "/gracefulapp.lab.Hello/Say?seconds=0", conns: 5, plain: true},
	{name: "slow gRPC", rate: 20, mode: load.GRPC, query: "/gracefulapp.lab.Hello/Say?seconds=%d", conns: 5, plain: true},
}

// recipeScenarios are the two that every server meets each day.
func recipeScenarios(recipe string) []scenario {
	return []scenario{
		{name: recipe + "-scale-down", title: recipe + ": scale down 6 -> 3 -> 1", replicas: 6, profile: recipeProfile, promised: true, controlMustLose: true, steps: scaleDown},
		{name: recipe + "-rollout", title: recipe + ": two rolling updates of 3 pods", replicas: 3, profile: recipeProfile, promised: true, controlMustLose: true, steps: rollOut},
	}
}

func recipesCommand() *cobra.Command {
	o := options{seed: rand.Uint64(), json: "dist/recipes.json", rate: 1}
	folder, rounds := "config/samples/recipes", 1
	c := &cobra.Command{
		Use: "recipes [NAME...]", Short: "Run real servers as their recipes say, each beside itself as a plain Deployment",
		RunE: func(c *cobra.Command, names []string) error {
			pairs, err := recipePairs(folder, names)
			if err != nil {
				return err
			}
			return o.runPairs(c.Context(), pairs, rounds)
		},
	}
	o.bind(c)
	c.Flags().StringVar(&folder, "recipes", folder, "folder of the GracefulApps")
	c.Flags().IntVar(&rounds, "rounds", rounds, "how often to go through the scenarios")
	return c
}

// runPairs measures one server after the other: all at once, their starts alone would keep two cores busy.
func (o options) runPairs(ctx context.Context, pairs []suite, rounds int) error {
	screen := testbed.NewScreen(os.Stdout, term.IsTerminal(int(os.Stdout.Fd())))
	found := report.Run{}
	var err error
	for _, pair := range pairs {
		found, err = o.measure(ctx, screen, pair, found, func(*lab) schedule { return oneByOne(recipeScenarios(pair.workloads[0].name), rounds) })
		if err != nil {
			break
		}
	}
	return conclude(screen, found, err)
}

// recipePairs has a suite for each recipe, or for those that are named.
func recipePairs(folder string, names []string) ([]suite, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil {
		return nil, err
	}
	var pairs []suite
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		if len(names) > 0 && !slices.Contains(names, name) {
			continue
		}
		names = slices.DeleteFunc(names, func(n string) bool { return n == name })
		app := &v1alpha1.GracefulApp{}
		text, err := os.ReadFile(file)
		if err == nil {
			err = yaml.UnmarshalStrict(text, app)
		}
		if err != nil {
			return nil, fmt.Errorf("reading a recipe: %w", err)
		}
		pairs = append(pairs, suite{clients: recipeClients, profile: recipeProfile, workloads: recipePair(name, app)})
	}
	if len(names) > 0 || len(pairs) == 0 {
		return nil, fmt.Errorf("no recipe %s in %s", strings.Join(names, ", "), folder)
	}
	return pairs, nil
}

// recipePair is a recipe's GracefulApp, and its container as a plain Deployment: no probes, no hook.
func recipePair(name string, app *v1alpha1.GracefulApp) []*workload {
	given := app.Spec.Template.Spec.Containers[0]
	hook := given.Lifecycle != nil && given.Lifecycle.PreStop != nil
	calls := given.ReadinessProbe != nil && given.ReadinessProbe.GRPC != nil
	return []*workload{
		{
			name: name, title: name + ", GracefulApp", share: 1, managed: true, probed: true, grpc: calls,
			drainAware: hook && given.Lifecycle.PreStop.HTTPGet != nil,
			build: func(w *workload, _ profile, _ string) []client.Object {
				app := app.DeepCopy()
				app.ObjectMeta = w.meta(w.name)
				app.Spec.Replicas = new(int32(1))
				app.Spec.Template.Labels = w.podLabels()
				return []client.Object{app}
			},
		},
		{
			name: name + report.PlainSuffix, title: name + ", plain Deployment", share: 1, control: true, grpc: calls,
			build: func(w *workload, _ profile, _ string) []client.Object {
				d := w.deployment(corev1.Container{
					Name: given.Name, Image: given.Image, Args: plainArgs[name], Ports: given.Ports, Env: given.Env,
					Resources: given.Resources, SecurityContext: given.SecurityContext, VolumeMounts: given.VolumeMounts,
				})
				d.Spec.Template.Spec.Volumes = app.Spec.Template.Spec.Volumes
				s := w.service()
				s.Spec.Ports[0].TargetPort = intstr.FromString(given.Ports[0].Name)
				return []client.Object{d, s}
			},
		},
	}
}
