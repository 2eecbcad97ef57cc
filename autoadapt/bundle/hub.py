"""Uploading a bundle to the Hugging Face hub."""

from pathlib import Path

from autoadapt.bundle.loaded import read_bundle
from autoadapt.errors import Exit, UserError


def push(folder: Path, repository: str) -> str:
    """Uploads a whole bundle as a model repository; returns its address.

    Args:
        folder: of the bundle.
        repository: ``owner/name``, made as a private one where there is none.

    Raises:
        UserError: huggingface_hub is absent, there is no token, or the hub cannot be reached or refuses.
    """
    read_bundle(folder)
    check_access()
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    api = HfApi()
    try:
        made = api.create_repo(repository, private=True, exist_ok=True)
        api.upload_folder(repo_id=made.repo_id, folder_path=folder, commit_message="An option exported by AutoAdapt")
    except HFValidationError as error:
        raise UserError(f"--push {repository}: write it as owner/name ({error})") from error
    except HfHubHTTPError as error:
        raise UserError(f"--push {repository}: the hub refuses ({error})", Exit.PROVIDER) from error
    except (OfflineModeIsEnabled, OSError, RuntimeError) as error:
        raise UserError(
            f"--push {repository}: the hub cannot be reached ({type(error).__name__}); the bundle is in {folder}",
            Exit.ENVIRONMENT,
        ) from error
    return str(made)


def check_access() -> None:
    """Raises a UserError where nothing can be uploaded from here: without huggingface_hub, or without a token."""
    try:
        from huggingface_hub import get_token
    except ImportError as error:
        raise UserError(
            "--push needs the package huggingface_hub: pip install huggingface_hub", Exit.ENVIRONMENT
        ) from error
    if get_token() is None:
        raise UserError(
            "--push needs a token of the Hugging Face hub: set HF_TOKEN, or run `hf auth login` once", Exit.PROVIDER
        )
