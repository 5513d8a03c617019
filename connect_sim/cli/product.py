"""`product`: list products; import and export them as workbooks of `ccli product export`."""

from __future__ import annotations

import io
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from checks.client import Client, Part
from connect_sim.cli import options, output, running
from connect_sim.cli.errors import CliError, Code

# The folder of pictures beside a workbook, as connect-cli has it.
_MEDIA = "media"
_ENDINGS = (".png", ".jpg", ".jpeg", ".gif", ".webp")
_TIMEOUT = 300  # seconds


@click.group(cls=options.Group, example="connect-sim product import PRD-276-377-545.xlsx")
def product() -> None:
    """List products; import and export them as workbooks of `ccli product export`."""


@product.command("list", example="connect-sim product list")
@options.as_json
@options.data_dir
def list_(as_json: bool) -> None:
    """List the products of the sandbox's vendor."""
    rows = list(running.client().pages("/public/v1/products", "ordering(id)"))
    table = output.table((row["id"], row["status"], row["name"]) for row in rows)
    output.answer(rows, as_json, table or ["No products."])


@product.command("import", example="connect-sim product import PRD-276-377-545.xlsx")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--vendor", metavar="ID", help="The owner (VA-…). Default: the demo vendor.")
@options.as_json
@options.data_dir
def import_(file: Path, vendor: str | None, as_json: bool) -> None:
    """Import a product from FILE, with its ids.

    Pictures are read from the folder media beside FILE. A product that exists is changed to what
    FILE says.
    """
    content = upload(running.client(), file, vendor)
    output.answer(content, as_json, _report(content))


@product.command(example="connect-sim product export PRD-814-505-018 -o backup.xlsx")
@click.argument("id", metavar="PRODUCT")
@click.option(
    "-o",
    "--output",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The workbook to write. Default: PRODUCT.xlsx.",
)
@options.as_json
@options.data_dir
def export(id: str, file: Path | None, as_json: bool) -> None:
    """Export a product to a workbook that `ccli product sync` reads.

    The icon and other pictures are written to the folder media beside it.
    """
    path = f"/sandbox/products/{running.segment(id)}/export?pictures=true"
    packed = running.client().download(path, _TIMEOUT)
    file = file or Path(f"{id}.xlsx")
    try:
        written = list(_unpack(packed, file))
    except OSError as error:
        name = error.filename or file
        text = f"{name} cannot be written: {error.strerror}."
        raise CliError(Code.CANNOT_WRITE, text) from None
    texts = [f"Exported {id} to {file}."]
    if written:
        texts.append(f"Pictures: {len(written)} in {written[0].parent}.")
    output.answer({"file": str(file), "pictures": list(map(str, written))}, as_json, texts)


def upload(client: Client, file: Path, vendor: str | None = None) -> Any:
    """Import a workbook, and return the answer; raises BadParameter, ApiError."""
    try:
        pictures = _pictures(file.parent / _MEDIA)
        form = [Part("file", file.read_bytes(), file.name), *pictures]
    except OSError as error:
        text = f"{error.filename or file} cannot be read: {error.strerror}."
        raise click.BadParameter(text, param_hint="FILE") from None
    if vendor:
        form.append(Part("vendor", vendor.encode()))
    return client.upload("/sandbox/products/import", form, _TIMEOUT)


def _pictures(folder: Path) -> Iterator[Part]:
    """Yield the pictures of a folder, without icons of products."""
    if folder.is_dir():
        for path in sorted(folder.iterdir()):
            is_picture = path.suffix.lower() in _ENDINGS and not path.name.startswith("PRD-")
            if is_picture and path.is_file():
                yield Part("pictures", path.read_bytes(), path.name)


def _unpack(packed: bytes, file: Path) -> Iterator[Path]:
    """Write the workbook and its pictures, and yield the paths of these; create the folder."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        for name in archive.namelist():
            content = archive.read(name)
            if "/" not in name:
                file.write_bytes(content)
                continue
            path = file.parent / _MEDIA / Path(name).name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
            yield path


def _report(content: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of an import."""
    product, vendor, changes = content["product"], content["vendor"], content["changes"]
    name = f"{product['id']} {product['name']}"
    if content["created"]:
        counts = Counter(each["sheet"] for each in changes if each["change"] == "created")
        parts = ", ".join(f"{count} in {sheet}" for sheet, count in counts.items())
        yield f"Created {name} for {vendor['name']} ({vendor['id']}): {parts or 'no parts'}."
    elif changes:
        yield f"Updated {name}:"
        for each in changes:
            what = "created" if each["change"] == "created" else ", ".join(each["columns"])
            yield f"  {each['sheet']} {each['id']}".rstrip() + f": {what}"
    else:
        yield f"No changes to {name}."
    if content["kept"]:
        kept = ", ".join(f"{each['sheet']} {each['id']}" for each in content["kept"])
        yield f"Not in the file, kept: {kept}."
    if content["not_imported"]:
        yield f"Not imported: {', '.join(content['not_imported'])}."
    yield from content["warnings"]
