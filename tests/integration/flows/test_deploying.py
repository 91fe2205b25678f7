"""prefect.yaml as the plain Prefect command line reads it."""

from tests.integration.flows.conftest import PrefectServer


def test_every_flow_is_deployed_to_the_pool_without_anything_to_fetch(flow_deployments: PrefectServer) -> None:
    entrypoints = {
        "drift/drift": "flows.drift.check_drift",
        "drift-sweep/drift-sweep": "flows.sweep.sweep_drift",
        "watch/watch": "flows.watch.watch",
        "fold/fold": "flows.folding.fold",
        "deliver/deliver": "flows.delivering.deliver",
        "retention/retention": "flows.retention.retain",
        "train/train": "flows.training.train",
    }
    for name, entrypoint in entrypoints.items():
        deployed = flow_deployments.flow_deployment(name)
        assert deployed["entrypoint"] == entrypoint
        assert deployed["work_pool_name"] == "pilothouse"
        assert deployed["pull_steps"] == []
        assert deployed["path"] is None


def test_the_sweep_runs_every_quarter_of_an_hour_and_never_twice_at_once(flow_deployments: PrefectServer) -> None:
    sweep = flow_deployments.flow_deployment("drift-sweep/drift-sweep")
    schedules = [(schedule["schedule"]["cron"], schedule["active"]) for schedule in sweep["schedules"]]
    assert schedules == [("*/15 * * * *", True)]
    assert sweep["global_concurrency_limit"]["limit"] == 1
    assert sweep["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"


def test_the_watch_runs_every_minute_and_never_twice_at_once(flow_deployments: PrefectServer) -> None:
    watch = flow_deployments.flow_deployment("watch/watch")
    assert [(one["schedule"]["cron"], one["active"]) for one in watch["schedules"]] == [("* * * * *", True)]
    assert watch["global_concurrency_limit"]["limit"] == 1
    assert watch["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"
    for started in ("deliver/deliver", "fold/fold"):
        assert flow_deployments.flow_deployment(started)["schedules"] == []


def test_deploying_again_changes_nothing(flow_deployments: PrefectServer) -> None:
    before = flow_deployments.flow_deployment("drift-sweep/drift-sweep")
    done = flow_deployments.run("prefect", "--no-prompt", "deploy", "--name", "drift-sweep")
    assert done.returncode == 0, done.stdout + done.stderr
    after = flow_deployments.flow_deployment("drift-sweep/drift-sweep")
    assert after["id"] == before["id"]
    assert len(after["schedules"]) == 1
