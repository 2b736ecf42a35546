package fuzz

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/util/validation/field"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"pgregory.net/rapid"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/children"
	"github.com/gracefulapp/gracefulapp/internal/plan"
	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

// specsVariable is the total number of specs to draw.
const specsVariable = "FUZZ_SPECS"

const (
	// defaultSpecs are as many as fit into `make test`.
	defaultSpecs = 2000
	// workers draw in parallel, because most of the time is spent in the API server.
	workers = 4
	// realEvery is the interval of accepted specs that are stored with their derived objects. The others are only tried by a dry run.
	realEvery = 50
)

// Verdicts, by the first judge that refuses the spec.
const (
	refusedByGo     = "refused by the Go checks"
	refusedBySchema = "refused by the CRD's schema, which Go cannot know"
	refusedByDryRun = "refused by the API server's dry run of the derived objects"
	accepted        = "accepted"
	stored          = "accepted, and stored with all that is derived"
	updated         = "accepted as an update, and stored with all that is derived"
)

// nodePorts are those of the API server under test, its default.
var nodePorts = utilnet.PortRange{Base: 30_000, Size: 2768}

// judges are the Go checks and an API server that has the CRD and not our webhook.
type judges struct {
	api client.Client

	mu       sync.Mutex
	verdicts map[string]int
}

func newJudges(t *testing.T) *judges {
	t.Helper()
	api := startAPIServer(t)
	if err := createPoliciesOfSpecs(t.Context(), api); err != nil {
		t.Fatal(err)
	}
	return &judges{api: api, verdicts: map[string]int{}}
}

// startAPIServer starts one with the CRD, which ends with the test.
func startAPIServer(t *testing.T) client.WithWatch {
	t.Helper()
	ctrl.SetLogger(logr.Discard())
	environment := &envtest.Environment{
		CRDDirectoryPaths: []string{"../../config/crd/bases"}, ErrorIfCRDPathMissing: true,
		// A busy machine needs more than the defaults of 20 s and 10 s.
		ControlPlaneStartTimeout: 2 * time.Minute, CRDInstallOptions: envtest.CRDInstallOptions{MaxTime: time.Minute},
	}
	// A list then comes from etcd, and does not wait until a cache has caught up.
	environment.ControlPlane.GetAPIServer().Configure().Set("watch-cache", "false")
	testapp.EnableMutatingPolicies(environment)
	config, err := environment.Start()
	t.Cleanup(func() { _ = environment.Stop() })
	if err != nil {
		t.Fatalf("%v; make test sets KUBEBUILDER_ASSETS to a folder with etcd and kube-apiserver", err)
	}
	config.QPS = -1 // the server is ours
	config.WarningHandler = rest.NoWarnings{}
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	api, err := client.NewWithWatch(config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	return testapp.Unindexed(api)
}

func (j *judges) count(verdict string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.verdicts[verdict]++
	return j.verdicts[verdict]
}

// TestSpecs draws specs at random. rapid reduces a spec that fails and prints how to draw it again.
func TestSpecs(t *testing.T) {
	n := fromEnvironment(t, specsVariable, defaultSpecs)
	j := newJudges(t)
	t.Run("draw", func(t *testing.T) {
		for worker := range workers {
			t.Run(strconv.Itoa(worker), func(t *testing.T) {
				t.Parallel()
				for drawn := 0; drawn < n/workers && !t.Failed(); {
					rapid.Check(t, func(r *rapid.T) {
						drawn++
						j.judge(t.Context(), r, drawTrial(r))
					})
				}
			})
		}
	})
	total := -j.verdicts[stored] - j.verdicts[updated] // which were counted as accepted before
	for _, verdict := range slices.Sorted(maps.Keys(j.verdicts)) {
		total += j.verdicts[verdict]
		t.Logf("%7d %s", j.verdicts[verdict], verdict)
	}
	t.Logf("%7d specs", total)
	for _, verdict := range []string{refusedByGo, refusedBySchema, refusedByDryRun, accepted, stored, updated} {
		if j.verdicts[verdict]*100 < n/10 {
			t.Errorf("only %d were %s: the draws prove little", j.verdicts[verdict], verdict)
		}
	}
}

// TestFound judges the specs that earlier runs have found. Each file states why it is kept.
func TestFound(t *testing.T) {
	files, err := filepath.Glob("testdata/found/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("nothing in testdata/found: %v", err)
	}
	j := newJudges(t)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			c := trial{}
			if err := yaml.UnmarshalStrict(data, &c); err != nil {
				t.Fatal(err)
			}
			j.judge(t.Context(), t, c)
		})
	}
}

// judge lets every judge validate one spec, and fails if two of them disagree.
func (j *judges) judge(ctx context.Context, t rapid.TB, c trial) {
	a := c.App
	a.Namespace, a.UID = namespaceOf(c.Policy), "8b0e5c1a-0000-4000-8000-000000000001"
	observed := children.Observed{}
	if c.Before != nil {
		defer j.releaseAddress(ctx, t, c.Before)
		observed = j.deployBefore(ctx, t, c)
	}
	p, errs, warnings := judgeInGo(c, observed)
	checkErrors(t, c, errs)
	refusal := j.store(ctx, a)
	if refusal != nil && !apierrors.IsInvalid(refusal) {
		t.Fatalf("the API server answers neither yes nor no: %v\n%s", refusal, printed(c))
	}
	compareCEL(t, c, errs, refusal)
	switch {
	case len(errs) > 0:
		j.count(refusedByGo)
		return
	case refusal != nil:
		j.count(refusedBySchema)
		return
	}
	verdict := children.DryRun(ctx, j.api, p, observed)
	warnings = append(warnings, verdict.Warnings...)
	checkRefusals(t, c, verdict.Errors)
	checkWarnings(t, c, warnings)
	if len(verdict.Errors) > 0 {
		j.count(refusedByDryRun)
		return
	}
	checkPolicy(t, c, warnings)
	if n := j.count(accepted); c.Before != nil || n%realEvery == 0 {
		j.deploy(ctx, t, c)
	}
}

// judgeInGo repeats the checks that the webhook makes before its dry run.
func judgeInGo(c trial, observed children.Observed) (plan.Plan, field.ErrorList, []string) {
	p, errs, warnings := plan.For(c.App, observed.Running())
	errs = append(errs, plan.CheckNodePorts(c.App, nodePorts)...)
	if c.Before != nil && len(errs) == 0 {
		errs = plan.CheckChange(c.Before, c.App, observed.Running())
	}
	return p, errs, warnings
}

// store creates or updates the app by a dry run, so that every app can have the same name. An accepted app must decode, because one object
// that does not would keep the operator from reading all of them.
func (j *judges) store(ctx context.Context, a *v1alpha1.GracefulApp) error {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(a)
	if err != nil {
		return err
	}
	object := &unstructured.Unstructured{Object: content}
	object.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("GracefulApp"))
	unstructured.RemoveNestedField(object.Object, "status")
	if a.ResourceVersion != "" {
		err = j.api.Update(ctx, object, client.DryRunAll)
	} else {
		object.SetUID("")
		err = j.api.Create(ctx, object, client.DryRunAll)
	}
	if err != nil {
		return err
	}
	return plan.Convert(object, &v1alpha1.GracefulApp{})
}

// repeatedByCEL are the fields that both CEL and Go judge, so both or none must refuse them.
var repeatedByCEL = []string{
	"spec.timing.startupSeconds", "spec.timing.requestSeconds", "spec.timing.shutdownSeconds", "spec.timing.preStopSeconds",
	"spec.timing.terminationGracePeriodSeconds", "spec.strategy.type", "spec.strategy.rollingUpdate.maxUnavailable", "spec.minReadySeconds",
}

func compareCEL(t rapid.TB, c trial, errs field.ErrorList, refusal error) {
	inGo, inCEL, skipped := map[string]bool{}, map[string]bool{}, false
	for _, e := range errs {
		inGo[e.Field] = true
	}
	if status := apierrors.APIStatus(nil); errors.As(refusal, &status) && status.Status().Details != nil {
		for _, cause := range status.Status().Details.Causes {
			inCEL[cause.Field] = true
			// The API server evaluates no CEL rule when the schema has found an error.
			skipped = skipped || cause.Type != metav1.CauseTypeFieldValueInvalid || strings.Contains(cause.Message, "should be") ||
				strings.Contains(cause.Message, "should match") || strings.Contains(cause.Message, "must be a string") ||
				strings.Contains(cause.Message, "must validate")
		}
	}
	for _, f := range repeatedByCEL {
		if inGo[f] != inCEL[f] && !skipped {
			t.Fatalf("%s: Go refuses %t, CEL %t\nGo: %v\nAPI server: %v\n%s", f, inGo[f], inCEL[f], errs, refusal, printed(c))
		}
	}
	if refusal == nil && inGo["metadata.name"] {
		t.Fatalf("Go refuses the name, CEL does not\n%s", printed(c))
	}
}
