"""The command line: serve, decide, probe, replay, purge, settings; for authors check, test, new, explain, diff."""

from __future__ import annotations

import json
import logging
from datetime import datetime
from pathlib import Path
from typing import Annotated
from uuid import uuid4
from zoneinfo import ZoneInfo

import typer

from cds_service.errors import CdsServiceError, PlanError, PlansError, StoreError
from cds_service.policies.library import Library, load_library
from cds_service.settings import Settings

app = typer.Typer(
    help="Funding policies at the moment of ordering. Settings are environment variables; see `cds-service settings`.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
PlanFolders = Annotated[
    list[Path] | None, typer.Argument(help="Folders of plan folders; the setting CDS_PLANS when left out.")
]
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


def main() -> None:
    """Run the command line."""
    try:
        app()
    except StoreError as error:
        # Commands that read the log meet a database that is away, locked or sealed under another secret.
        typer.echo(f"cds-service: {error}", err=True)
        raise SystemExit(1) from None


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8000,
    workers: Annotated[int, typer.Option(min=1, help="How many processes answer.")] = 1,
) -> None:
    """Start the service."""
    from cds_service.operations.logs import start_logging
    from cds_service.serving import NOT_STARTED, loaded_beforehand, served
    from cds_service.workers import its_own, listening_socket, shared_address, supervised

    settings = Settings()
    start_logging(settings.log_format)
    if settings.clients is None:
        if host not in _LOOPBACK and not settings.development:
            typer.echo(
                f"cds-service: no clients are configured (CDS_CLIENTS), so {host} would be open to anybody. "
                "Listen on 127.0.0.1, or set CDS_DEVELOPMENT=true if you mean it.",
                err=True,
            )
            raise typer.Exit(2)
        logging.getLogger("cds_service").warning(
            "DEVELOPMENT MODE: no clients are configured, anybody may call"
        )
    loaded = [loaded_beforehand(settings)]
    try:
        listening = listening_socket(host, port) if workers == 1 else shared_address(host, port)
    except OSError as error:
        typer.echo(f"cds-service: cannot listen on {host}, port {port}: {error.strerror}", err=True)
        raise typer.Exit(NOT_STARTED) from None
    if workers == 1:
        # Held by nobody else: a set that is replaced is to be freed.
        raise typer.Exit(served(settings, listening, loaded.pop()))

    def work(again: bool) -> int:
        # Who takes another's place loads what is on the disk by now.
        return served(settings, its_own(listening), None if again else loaded[0])

    raise typer.Exit(supervised(workers, work))


@app.command()
def check(plans: PlanFolders = None) -> None:
    """Check plan folders: their FHIR, expressions, codes and rules. Fails when a policy cannot be used as it stands."""
    from cds_service.policies.analysis import weaknesses

    library = _loaded(plans)
    found = [(policy, weakness) for policy in library.policies for weakness in weaknesses(policy)]
    for policy, weakness in found:
        typer.echo(f"{policy.id}: {weakness}")
    for policy in library.policies:
        typer.echo(
            f"{policy.id} {policy.version}: {len(policy.rules)} rules, {len(policy.criteria)} criteria, "
            f"{len(policy.diagram)} diagram nodes"
        )
    for form in library.forms:
        typer.echo(f"{form.id} {form.version}: shared form, {len(form.queries)} queries")
    if found:
        raise typer.Exit(1)


@app.command("test")
def run_cases(
    plans: PlanFolders = None,
    mutate: Annotated[
        bool,
        typer.Option("--mutate", help="Also change the policies, one thing at a time; a case must fail."),
    ] = False,
) -> None:
    """Run the plans' own cases. Fails when one fails, when a plan has none, or when a rule or a value has no case."""
    from cds_service.authoring.scaffold import still_to_write
    from cds_service.policies.cases import read_cases, run_case, uncovered

    library = _loaded(plans)
    passed = failed = 0
    complaints = [f"{form.id}/{place}" for form in library.forms for place in still_to_write(form.folder)]
    for policy in library.policies:
        complaints += [f"{policy.id}/{place}" for place in still_to_write(policy.folder)]
        try:
            cases = read_cases(policy.folder)
        except PlanError as problem:
            complaints.append(str(problem))
            continue
        results = [run_case(case, policy, library) for case in cases]
        for result in results:
            complaints += [f"{policy.id}/cases/{result.case.file.name}: {fault}" for fault in result.faults]
        complaints += [f"{policy.id}: {gap}" for gap in uncovered(policy, results)]
        if not cases:
            complaints.append(
                f"{policy.id}: no cases; write cases/what-it-proves.json (docs/authoring.md, step 6)"
            )
        failed += sum(1 for result in results if result.faults)
        passed += sum(1 for result in results if not result.faults)
    for complaint in complaints:
        typer.echo(complaint)
    typer.echo(f"plan cases: {passed} passed, {failed} failed")
    if complaints or passed + failed == 0:
        raise typer.Exit(1)
    if mutate and not _all_killed(library):
        raise typer.Exit(1)


def _all_killed(library: Library) -> bool:
    """Whether every change to a policy makes one of its cases fail; those that do not are listed."""
    from cds_service.authoring.mutation import mutation_result
    from cds_service.policies.cases import read_cases

    survivors = 0
    for policy in library.policies:
        result = mutation_result(policy, read_cases(policy.folder), library)
        survivors += len(result.survivors)
        for mutant in result.survivors:
            typer.echo(f"{policy.id}: no case notices {mutant.change}")
        typer.echo(
            f"{policy.id}: {result.killed} of {result.counted} mutants killed, {len(result.survivors)} survive "
            f"({result.equivalent} more change no decision)"
        )
    return survivors == 0


@app.command("new")
def new_policy(
    policy_id: Annotated[str, typer.Argument(help="Its id: lower-case words joined by hyphens.")],
    plans: Annotated[
        Path | None, typer.Option(help="The folder of plan folders; else the first of CDS_PLANS.")
    ] = None,
    commissioner: Annotated[
        str | None,
        typer.Option(help="Whose policy it is: SYSTEM|VALUE as in organizations.json; else everybody's."),
    ] = None,
) -> None:
    """Make the folder of a new policy: it passes check, and fails test until its texts and cases are written."""
    from cds_service.authoring.scaffold import directory_in, payer, scaffolded, write_policy

    settings = Settings()
    where, today = plans or settings.plans[0], datetime.now(ZoneInfo(settings.time_zone)).date()
    try:
        directory = directory_in(where)
        paying = None if commissioner is None else payer(commissioner, directory, where)
        folder = write_policy(where, policy_id, scaffolded(policy_id, today, paying))
    except (PlanError, PlansError) as error:
        typer.echo(f"cds-service: {error}", err=True)
        raise typer.Exit(1) from None
    typer.echo(
        f"{folder}: a policy of two rules and three criteria that loads as it is.\n"
        "Next: replace every TO WRITE (docs/authoring.md leads through it), then write cases/what-it-proves.json.\n"
        f"  cds-service check {where}           what cannot be loaded\n"
        f"  cds-service explain {policy_id}     the rules as a decision table\n"
        f"  cds-service test {where}            what is still to write, and which rule or value has no case\n"
        f"  cds-service test --mutate {where}   which change to the policy no case notices"
    )


@app.command("explain")
def explain_policy(
    policy_id: Annotated[str, typer.Argument(help="The policy's id.")],
    svg: Annotated[
        Path | None, typer.Option(help="Also draw the decision diagram into this file.", dir_okay=False)
    ] = None,
    plans: Annotated[list[Path] | None, typer.Option(help="Folders of plan folders; else CDS_PLANS.")] = None,
) -> None:
    """Print a policy as a page: rules, decision table, questions, and which are asked first."""
    from cds_service.authoring.drawing import drawn_as_svg
    from cds_service.authoring.explain import explained

    library = _loaded(plans)
    found = [policy for policy in library.policies if policy.id == policy_id]
    if not found:
        known = ", ".join(policy.id for policy in library.policies)
        typer.echo(f"cds-service: found no policy {policy_id!r}; expected one of {known}", err=True)
        raise typer.Exit(1)
    for policy in found:
        typer.echo(explained(policy), nl=False)
    if svg is not None:
        svg.write_text(drawn_as_svg(found[-1]), encoding="utf-8")
        typer.echo(f"\ndrawn in {svg}")


@app.command("diff")
def compare_versions(
    old: Annotated[
        Path, typer.Argument(help="The folder of the policy as it was.", file_okay=False, exists=True)
    ],
    new: Annotated[
        Path, typer.Argument(help="The folder of the policy as it is.", file_okay=False, exists=True)
    ],
    plans: Annotated[
        Path | None, typer.Option(help="Where organizations.json lies; else beside each of the folders.")
    ] = None,
) -> None:
    """Say in which situations two versions of a policy decide differently, with an example of each.

    Exit code 0 when no outcome differs, 1 when one does, 2 when a folder cannot be used.
    """
    from cds_service.authoring.versions import differences_told, policy_in

    try:
        told, differs = differences_told(policy_in(old, plans), policy_in(new, plans))
    except CdsServiceError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    typer.echo(told, nl=False)
    raise typer.Exit(1 if differs else 0)


@app.command("decide")
def decide_request(
    request: Annotated[
        Path, typer.Argument(help="A CDS Hooks request as a JSON file.", exists=True, dir_okay=False)
    ],
    plans: Annotated[list[Path] | None, typer.Option(help="Folders of plan folders; else CDS_PLANS.")] = None,
) -> None:
    """Answer one hook request from a file, without a server, and print the response."""
    from cds_service.hooks.requests import hook_request
    from cds_service.policies.loading.documents import read_json
    from cds_service.service import Terms, decide

    settings = Settings()
    terms = Terms(
        datetime.now(ZoneInfo(settings.time_zone)),
        lambda: str(uuid4()),
        settings.public_url,
        settings.answers_valid_days,
    )
    try:
        decision = decide(hook_request(read_json(request)), _loaded(plans), terms)
    except CdsServiceError as error:
        typer.echo(f"cds-service: {error}", err=True)
        raise typer.Exit(1) from None
    typer.echo(json.dumps(decision.response, indent=2, ensure_ascii=False))


@app.command()
def probe(
    base_url: Annotated[str, typer.Argument(help="Base URL of a FHIR R4 server.")],
    token: Annotated[str | None, typer.Option(help="Bearer token to read with.")] = None,
    patient: Annotated[
        str | None, typer.Option(help="Id of a patient there; the first listed when left out.")
    ] = None,
    plans: Annotated[list[Path] | None, typer.Option(help="Folders of plan folders; else CDS_PLANS.")] = None,
) -> None:
    """Try the reads that the policies need on any FHIR R4 server, and show the cards a patient there would get."""
    import asyncio

    from cds_service.probe import example_decisions, probed, some_patient
    from cds_service.trust.outbound import Token

    base_url, library = base_url.rstrip("/"), _loaded(plans)
    try:
        bearer = Token(token) if token else None
        chosen = patient or asyncio.run(some_patient(base_url, bearer))
    except (CdsServiceError, ValueError) as error:
        typer.echo(f"cds-service: {error}", err=True)
        raise typer.Exit(1) from None
    reads = asyncio.run(probed(base_url, bearer, chosen, library))
    for each in reads:
        typer.echo(f"{each.query:24} {each.template:52} {each.seconds * 1000:7.0f} ms  {each.verdict}")
    now = datetime.now(ZoneInfo(Settings().time_zone))
    for policy, decision in example_decisions(reads, chosen, library, now):
        typer.echo(f"\nAn order that this policy is about: {policy.title}")
        if isinstance(decision, CdsServiceError):
            typer.echo(f"  no answer: {decision}")
            continue
        for card in decision.response["cards"]:
            typer.echo(f"  [{card['indicator']}] {card['summary']}")
        if not decision.response["cards"]:
            typer.echo("  no card")
    if any(each.answer.not_read is not None for each in reads):
        raise typer.Exit(1)


@app.command()
def replay(
    decision_id: Annotated[
        str | None, typer.Argument(help="Id of a decision or of one of its cards.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Replay every decision of the log.")] = False,
    since: Annotated[
        datetime | None, typer.Option(help="With --all: only decisions from then on (UTC).")
    ] = None,
) -> None:
    """Decide again from the log, with the policies of CDS_PLANS. Exit 0: the same; 1: it differs; 2: not found."""
    import asyncio

    from cds_service.replaying import replayed

    if (decision_id is None) != every:
        raise typer.BadParameter("name one decision, or --all")
    counts = asyncio.run(replayed(Settings(), _loaded(None), decision_id, since, typer.echo))
    typer.echo(
        f"{counts.same} the same, {counts.different} different, {counts.of_another_set} of another policy set"
    )
    raise typer.Exit(2 if counts.total == 0 else 1 if counts.different else 0)


@app.command()
def purge(
    before: Annotated[
        datetime | None, typer.Option(help="Remove what is older; else CDS_RETENTION_DAYS says.")
    ] = None,
) -> None:
    """Remove decisions, answers and feedback that are kept long enough, and what has expired."""
    import asyncio

    from cds_service.replaying import purged

    for table, count in asyncio.run(purged(Settings(), before)).items():
        typer.echo(f"{count:>8}  {table}")


@app.command()
def audit(
    out: Annotated[Path, typer.Option(help="File to write, one FHIR AuditEvent a line.", dir_okay=False)],
    since: Annotated[datetime | None, typer.Option(help="Only decisions from then on (UTC).")] = None,
) -> None:
    """Write decisions as FHIR AuditEvents, for the audit record repository."""
    import asyncio

    from cds_service.operations.audit_export import written_audit

    settings = Settings()
    try:
        count = asyncio.run(written_audit(settings.database_url, settings.secret_bytes, since, out))
    except (CdsServiceError, OSError) as error:
        typer.echo(f"cds-service: {error}", err=True)
        raise typer.Exit(1) from None
    typer.echo(f"{count} decisions written to {out}")


@app.command()
def settings() -> None:
    """List every setting with its default and meaning."""
    for name, field in Settings.model_fields.items():
        default = field.get_default()
        shown = ",".join(map(str, default)) if isinstance(default, tuple) else default
        typer.echo(
            f"CDS_{name.upper()}  (default: {'none' if shown in {None, ''} else shown})\n    {field.description}"
        )


@app.command("evaluate")
def evaluate_orders(  # noqa: PLR0913, PLR0917  one for each option
    orders: Annotated[
        Path, typer.Option(help="Past orders: ServiceRequests as NDJSON (.gz).", exists=True, dir_okay=False)
    ],
    records: Annotated[
        Path,
        typer.Option(
            help="Folder of a FHIR Bulk Data export. A resource type without a file in it counts as not read.",
            exists=True,
            file_okay=False,
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the results.", file_okay=False)],
    plans: Annotated[list[Path] | None, typer.Option(help="Folders of plan folders; else CDS_PLANS.")] = None,
    against: Annotated[
        list[Path] | None,
        typer.Option(help="Plan folders to compare with: also write what they would change."),
    ] = None,
    as_of: Annotated[
        datetime | None,
        typer.Option(
            help="Decide every order as if written on this day; else its own.", formats=["%Y-%m-%d"]
        ),
    ] = None,
    without_patients: Annotated[
        bool, typer.Option("--without-patients", help="Leave the patients' ids out of the results.")
    ] = False,
    processes: Annotated[int, typer.Option(help="Processes; 0: one for each core.", min=0)] = 0,
    ray: Annotated[
        str | None,
        typer.Option(help="Address of a Ray cluster to run on, or local; else processes of this machine."),
    ] = None,
) -> None:
    """Decide past orders in bulk, from FHIR Bulk Data files, as the hook would have (docs/bulk.md)."""
    from cds_service.bulk.deciding import Circumstances
    from cds_service.bulk.evaluation import USUAL_SIZES, Evaluation, evaluated
    from cds_service.bulk.telling import show_progress, told
    from cds_service.bulk.work import workers

    settings = Settings()
    evaluation = Evaluation(
        orders=orders,
        records=records,
        plans=tuple(plans or settings.plans),
        against=tuple(against or ()),
        practices=settings.ods_practices,
        out=out,
        with_patient=not without_patients,
        circumstances=Circumstances(
            as_of.date() if as_of else None,
            settings.time_zone,
            settings.public_url,
            settings.answers_valid_days,
        ),
    )
    try:
        summary = evaluated(evaluation, workers(processes, ray), show_progress, USUAL_SIZES)
    except CdsServiceError as error:
        typer.echo(f"cds-service: {error}", err=True)
        raise typer.Exit(1) from None
    typer.echo(told(summary), nl=False)


def _loaded(plans: list[Path] | None) -> Library:
    try:
        settings = Settings()
        return load_library(plans or settings.plans, settings.ods_practices, settings.cache_folder)
    except PlansError as error:
        for problem in error.problems:
            typer.echo(str(problem), err=True)
        typer.echo(f"{len(error.problems)} problems: no policy is loaded", err=True)
        raise typer.Exit(1) from None


if __name__ == "__main__":
    main()
